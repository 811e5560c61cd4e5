"""How close a value's words are to an option's label, step by step from the safe to the doubtful.

Each step answers how sure it is that the two mean the same, 0 where it says nothing. A step never looks at other
options: that the winner is the only one is judged where they are compared (see `classification`). Two texts that share
none of a step's keys are not alike by it, so that a value is compared with few of many labels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Set
from dataclasses import dataclass
from functools import cached_property, lru_cache

from rapidfuzz.distance import OSA

from lume_dagster.generator.text_key import squeezed, words

SURE = 0.97
"""From here on a class is taken over."""
LIKELY = 0.9
RIVAL = 0.85
"""An option as like as this makes another winner doubtful."""
POSSIBLE = 0.8

_NEGATIONS = frozenset({
    "not", "no", "non", "never", "without", "none", "nor", "neither", "isnt", "arent", "wasnt", "dont", "doesnt",
    "wont", "cant",
})  # fmt: skip
_MODIFIERS = frozenset({
    "very", "extra", "partially", "partly", "part", "semi", "half", "almost", "nearly", "pre", "post", "ex",
    "former", "previous", "previously", "past", "future", "next", "old", "new", "un", "self", "anti", "over",
    "under", "sub", "super", "pseudo", "quasi", "high", "low", "higher", "lower", "lowest", "highest", "more",
    "less", "least", "most", "only", "other", "another", "any", "some", "all", "both", "either", "pending",
    "failed", "cancelled", "canceled", "expected", "planned", "estimated", "unlikely", "likely", "suspected",
    "possible", "probable", "denied", "declined", "rejected",
})  # fmt: skip
_ORDERED = frozenset({
    "to", "from", "over", "under", "by", "before", "after", "than", "vs", "versus", "into",
})  # fmt: skip
_FILLERS = frozenset({"of", "and", "a", "an"})
_ORGANISATION = frozenset({
    "inc", "incorporated", "corp", "corporation", "co", "company", "companies", "ltd", "limited", "llc", "llp",
    "plc", "gmbh", "ag", "sa", "nv", "bv", "spa", "srl", "oy", "oyj", "ab", "asa", "kg", "kgaa", "se", "pty",
    "group", "holding", "holdings", "airlines", "airline", "airways", "com", "org", "net", "io",
})  # fmt: skip
_OPPOSITES = (
    ("hyper", "hypo"), ("inter", "intra"), ("pre", "post"), ("under", "over"), ("macro", "micro"), ("im", "ex"),
    ("in", "ex"), ("in", "out"), ("up", "down"), ("ante", "anti"), ("pro", "anti"), ("maxi", "mini"),
)  # fmt: skip
_COMPOUND_TAILS = (
    "able", "board", "day", "down", "due", "free", "ful", "graduate", "hold", "in", "land", "less", "line", "man",
    "market", "off", "on", "out", "over", "owner", "page", "paid", "person", "place", "room", "side", "stream",
    "time", "town", "up", "way", "weight", "wide", "woman", "work", "worker", "year",
)  # fmt: skip
"""What makes another word of a word, so that `home` is no short `homeowner`."""
_WORD_TAILS = frozenset({
    "al", "ance", "ar", "ary", "ed", "ee", "ence", "er", "ers", "hood", "ian", "ic", "ics", "ing", "ion", "ish", "ism",
    "ist", "ity", "ive", "ly", "ment", "ness", "or", "ors", "ory", "r", "rs", "ship", "ward", "wards", "y",
})  # fmt: skip
"""What else makes another word of a word: `intern` is no short `internal`."""
_LOOKALIKES = frozenset(
    frozenset(pair.split("/"))
    for pair in [
        "adapted/adopted",
        "angle/angel",
        "breath/breathe",
        "casual/causal",
        "cavalry/calvary",
        "conservation/conversation",
        "contact/contract",
        "contacts/contracts",
        "county/country",
        "counties/countries",
        "critic/critical",
        "dairy/diary",
        "desert/dessert",
        "envelop/envelope",
        "form/from",
        "human/humane",
        "marital/martial",
        "moral/morale",
        "patent/patient",
        "personal/personnel",
        "statue/statute",
        "through/thorough",
        "trail/trial",
        "trails/trials",
        "united/untied",
        "urban/urbane",
        "contacted/contracted",
        "quiet/quite",
        "prosecution/persecution",
        "proportional/proportion",
        "proved/proven",
    ]
)
"""Words one slip apart, each of which is a word."""
_SPELLINGS = (
    ("isation", "ization"), ("ise", "ize"), ("ising", "izing"), ("ised", "ized"), ("our", "or"), ("tre", "ter"),
    ("ogue", "og"), ("elled", "eled"), ("elling", "eling"), ("ence", "ense"), ("yse", "yze"), ("aemia", "emia"),
)  # fmt: skip
_SHORT_FORMS = {
    "st": "saint", "ste": "sainte", "mt": "mount", "dept": "department", "dpt": "department", "govt": "government",
    "intl": "international", "natl": "national", "univ": "university", "dem": "democratic", "rep": "republic",
    "fed": "federal", "mgr": "manager", "mgmt": "management", "mngr": "manager", "asst": "assistant",
    "acct": "account", "acc": "account", "amt": "amount", "qty": "quantity", "qtr": "quarter", "yr": "year",
    "yrs": "years", "hr": "hour", "hrs": "hours", "min": "minute", "mins": "minutes", "wk": "week", "wks": "weeks",
    "mth": "month", "mths": "months", "no": "number", "nr": "number", "tel": "telephone", "addr": "address",
    "svc": "service", "svcs": "services", "serv": "service", "eng": "engineering", "engr": "engineer",
    "mktg": "marketing", "mkt": "market", "admin": "administration", "info": "information", "tech": "technology",
    "dev": "development", "ops": "operations", "prod": "production", "dist": "district", "dir": "director",
    "exec": "executive", "sr": "senior", "jr": "junior", "assoc": "associate", "prof": "professor", "ctr": "center",
    "bldg": "building", "apt": "apartment", "ave": "avenue", "blvd": "boulevard", "rd": "road", "ln": "lane",
    "pkg": "package", "pkgs": "packages", "cust": "customer", "vs": "versus", "approx": "approximately",
    "temp": "temporary", "perm": "permanent", "max": "maximum", "avg": "average", "std": "standard", "misc":
    "miscellaneous", "elec": "electronics", "biz": "business", "edu": "education", "env": "environment",
}  # fmt: skip
_CLEAR_SHORT_FORMS = frozenset({"dept", "acct", "govt", "intl", "natl", "univ", "misc", "qty"})


@dataclass(frozen=True)
class Label:
    """A text by which an option goes.

    Attributes:
        option: The number of the option.
        text: The text as it is written.
        words: Its words.
        is_code: Whether it is the option itself and there is a title beside it.
    """

    option: int
    text: str
    words: tuple[str, ...]
    is_code: bool = False


@dataclass(frozen=True)
class Setting:
    """What is known about all labels of a field.

    Attributes:
        field_words: The words of the field's own name.
        shared: Words that several labels end on, such as `airlines`.
        closed: Whether all other names of the kind are known, so that a misspelling cannot be one of them.
    """

    field_words: frozenset[str]
    shared: frozenset[str]
    closed: bool

    @cached_property
    def idle(self) -> frozenset[str]:
        """Words that tell no option from another."""
        return _FILLERS | _ORGANISATION | self.shared | self.field_words


@dataclass(frozen=True)
class Step:
    """One way in which a value can mean a label.

    Attributes:
        name: What it is called.
        likeness: How sure it is that a value, given by its words and its text, means a label.
        keys: What a value and a label have to have one of in common, by the words of either.
    """

    name: str
    likeness: Callable[[tuple[str, ...], str, Label, Setting], float]
    keys: Callable[[tuple[str, ...], Setting], Iterator[Hashable]]


def _negations(found: tuple[str, ...]) -> int:
    return sum(word in _NEGATIONS for word in found)


def _modified(extra: Set[str]) -> bool:
    return bool(extra & (_NEGATIONS | _MODIFIERS | _ORDERED)) or any(
        any(char.isdigit() for char in word) for word in extra
    )


def _same_words(value: tuple[str, ...], text: str, label: Label, setting: Setting) -> float:  # noqa: ARG001
    """The same words but for gaps, spelling, usual short forms and, where it tells nothing, their order."""
    if _long(value) and squeezed(value) == squeezed(label.words):
        return 0.985
    ours, theirs = _spelled(value), _spelled(label.words)
    if ours == theirs:
        return 0.98
    if _ORDERED & set(ours) or _negations(ours) or any(char.isdigit() for char in text):
        return 0
    same = sorted(set(ours) - _FILLERS) == sorted(set(theirs) - _FILLERS) and len(ours) > 1
    return 0.975 if same else 0


def _keys_of_words(found: tuple[str, ...], setting: Setting) -> Iterator[Hashable]:  # noqa: ARG001
    yield squeezed(found)
    yield frozenset(_spelled(found)) - _FILLERS


def _long(found: tuple[str, ...]) -> bool:
    return len(squeezed(found)) >= 4 or (len(found) > 1 and all(len(word) == 1 for word in found))


@lru_cache(maxsize=65536)
def _spelled(found: tuple[str, ...]) -> tuple[str, ...]:
    alone = len(found) == 1
    return tuple(
        _spelling(word if alone and not _is_clear(word) else _SHORT_FORMS.get(word, word)) for word in found
    )


def _is_clear(short: str) -> bool:
    """Whether a short form means one thing without words around it."""
    return short in _CLEAR_SHORT_FORMS or (len(short) >= 3 and not set(short) & set("aeiouy"))


def _spelling(word: str) -> str:
    for british, american in _SPELLINGS:
        if len(word) > len(british) + 2 and word.endswith(british):
            return word.removesuffix(british) + american
    return "gray" if word == "grey" else word


def _same_stem(value: tuple[str, ...], text: str, label: Label, setting: Setting) -> float:  # noqa: ARG001
    """One and many, or a verb and its past: `Orders`, `cancel`."""
    if len(value) != len(label.words) or _negations(value) != _negations(label.words):
        return 0
    pairs = [(a, b) for a, b in zip(value, label.words, strict=True) if a != b]
    if not pairs:
        return 0
    if all(_singular(a) == _singular(b) for a, b in pairs):
        return 0.975
    if all(_singular(a) == _singular(b) or _past(a) == _past(b) for a, b in pairs):
        return SURE
    return 0


def _keys_of_stem(found: tuple[str, ...], setting: Setting) -> Iterator[Hashable]:  # noqa: ARG001
    yield len(found), _singular(found[0])
    yield len(found), "past", _past(found[0])


@lru_cache(maxsize=65536)
def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return (
        word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
    )


@lru_cache(maxsize=65536)
def _past(word: str) -> str:
    if len(word) > 5 and word.endswith("ied"):
        return word[:-3] + "y"
    if len(word) < 5:
        return word
    stem = word[:-2] if word.endswith("ed") else word
    if stem != word and len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "ls":
        stem = stem[:-1]
    stem = stem[:-1] if stem.endswith("ll") else stem
    return stem.removesuffix("e")


def _part_of(value: tuple[str, ...], text: str, label: Label, setting: Setting) -> float:  # noqa: ARG001
    """The value leaves away what says little: `Delta` for `Delta Air Lines Inc.`; or says it besides."""
    value, whole = _joined(value), _joined(label.words)
    ours, theirs = set(value), set(whole)
    core, label_core = ours - setting.idle, theirs - setting.idle
    missing, surplus = theirs - ours, ours - theirs
    core = _without_field(core, setting)
    numbers = [[word for word in found if word.isdigit()] for found in (value, whole)]
    if _modified(missing) or _modified(surplus) or not core or numbers[0] != numbers[1]:
        return 0
    if core == label_core and any(len(word) > 1 for word in core):
        return SURE
    if squeezed(tuple(word for word in value if word in core)) == squeezed(
        tuple(word for word in whole if word in label_core)
    ):
        return SURE if len(squeezed(tuple(core))) > 3 else LIKELY
    if core <= label_core and any(len(word) > 3 for word in core):
        return 0.85 if whole[0] in core else POSSIBLE
    if label_core and label_core <= core and any(len(word) > 3 for word in label_core):
        return 0.76
    return 0


def _without_field(core: set[str], setting: Setting) -> set[str]:
    return {word for word in core if _SHORT_FORMS.get(word) not in setting.field_words}


def _keys_of_part(found: tuple[str, ...], setting: Setting) -> Iterator[Hashable]:
    whole = _joined(found)
    core = set(whole) - setting.idle
    yield from core
    for kept in (core, _without_field(core, setting)):
        yield "squeezed", squeezed(tuple(word for word in whole if word in kept))


@lru_cache(maxsize=65536)
def _joined(found: tuple[str, ...]) -> tuple[str, ...]:
    """Words without the gap that some leave in `airlines`."""
    return words(re.sub(r"\bair (line|lines|way|ways)\b", r"air\1", " ".join(found)))


def _short_form(value: tuple[str, ...], text: str, label: Label, setting: Setting) -> float:  # noqa: ARG001
    """Words cut off: `Crit.`, `N. Carolina`, `Comp. Sci.`."""
    if len(value) != len(label.words) or value == label.words:
        return 0
    dotted = "." in text
    if len(value) > 2 and all(
        a == b or (b not in _FILLERS and a.isalpha() and a == b[0])
        for a, b in zip(value, label.words, strict=True)
    ):
        return SURE  # R&D
    sure = 1.0
    for short, whole in zip(value, label.words, strict=True):
        if short == whole:
            continue
        if not short.isalpha() or not whole.startswith(short):
            return 0
        rest = whole[len(short) :]
        if rest in _COMPOUND_TAILS:
            return 0
        if not dotted and (rest in _WORD_TAILS or whole.endswith("ee")):
            sure = min(sure, LIKELY)
        if (len(short) >= 4 and 2 * len(short) >= len(whole)) or (len(short) >= 3 and dotted):
            sure = min(sure, SURE)
        elif len(value) > 1:
            sure = min(sure, SURE if dotted or len(short) >= 3 else LIKELY)
        else:
            sure = min(sure, LIKELY if len(short) >= 3 else POSSIBLE)
    if len(value) > 1 and not any(a == b or len(a) > 3 for a, b in zip(value, label.words, strict=True)):
        sure = min(sure, LIKELY)
    return sure


def _keys_of_beginnings(found: tuple[str, ...], setting: Setting) -> Iterator[Hashable]:  # noqa: ARG001
    """The first letters; what does not begin with a letter is the same or something else."""
    yield tuple(word[0] if word[0].isalpha() else word for word in found)


def _initials(value: tuple[str, ...], text: str, label: Label, setting: Setting) -> float:  # noqa: ARG001
    """The first letters of a label's words: `NOS`; or the label is made of those of the value."""
    if len(value) == 1 and len(label.words) > 1 and text == text.upper():
        return _initials_of(value[0], label.words, SURE)
    if len(label.words) == 1 and len(value) > 1 and label.text == label.text.upper():
        return _initials_of(label.words[0], value, LIKELY)
    return 0


def _initials_of(short: str, found: tuple[str, ...], sure: float) -> float:
    if not short.isalpha() or short not in _first_letters(found):
        return 0
    return sure if len(short) > 2 else POSSIBLE


def _first_letters(found: tuple[str, ...]) -> tuple[str, str]:
    """Those of all words, and those without fillers."""
    return "".join(word[0] for word in found), "".join(word[0] for word in found if word not in _FILLERS)


def _keys_of_initials(found: tuple[str, ...], setting: Setting) -> Iterator[Hashable]:  # noqa: ARG001
    yield from found if len(found) == 1 else _first_letters(found)


def _misspelled(value: tuple[str, ...], text: str, label: Label, setting: Setting) -> float:  # noqa: ARG001
    """One slip of the keyboard in one word."""
    if len(value) != len(label.words) or _negations(value) != _negations(label.words):
        return 0
    pairs = [(a, b) for a, b in zip(value, label.words, strict=True) if a != b]
    if len(pairs) != 1:
        return 0
    written, meant = pairs[0]
    if not (written[0].isalpha() and written[0] == meant[0]):
        return 0
    if min(len(written), len(meant)) > 3 and _differ_behind(written, meant):
        return LIKELY  # another form rather than a slip, which makes another winner doubtful
    return _slip(written, meant, closed=setting.closed)


def _differ_behind(one: str, other: str) -> bool:
    """Whether one word is the other with something behind it that is more than its last letter doubled."""
    short, long = sorted((one, other), key=len)
    return long.startswith(short) and long != short + short[-1]


def _slip(written: str, meant: str, *, closed: bool) -> float:
    if not _may_be_one(written, meant):
        return 0
    distance = OSA.distance(written, meant, score_cutoff=2)
    if distance > 2 or (distance == 2 and min(len(written), len(meant)) < 7):
        return 0
    if distance == 1 and closed:
        sure = len(meant) >= (7 if len(written) == len(meant) else 6) or _is_swapped(written, meant)
        return SURE if sure else LIKELY
    if distance == 1 and _is_mistyped(written, meant):
        return SURE
    return LIKELY if closed else POSSIBLE


def _may_be_one(written: str, meant: str) -> bool:
    """Whether one word may be the other, mistyped: neither a number, an opposite nor a word of its own."""
    return (
        (written.isalpha() and meant.isalpha())
        and min(len(written), len(meant)) >= 4
        and not (written.endswith(meant) or meant.endswith(written) or _are_opposites(written, meant))
        and frozenset((written, meant)) not in _LOOKALIKES
    )


def _is_mistyped(written: str, meant: str) -> bool:
    """Whether one edit is likelier a slip than another word, which `county` and `contact` are of others."""
    if len(meant) < 6 or written[:-1] == meant[:-1]:
        return False
    if len(written) == len(meant):
        return _is_swapped(written, meant)
    return len(meant) >= 8 or _undoubled(written) == _undoubled(meant)


def _is_swapped(written: str, meant: str) -> bool:
    return sorted(written) == sorted(meant)


def _undoubled(word: str) -> str:
    return "".join(char for char, before in zip(word, " " + word[:-1], strict=True) if char != before)


def _are_opposites(one: str, other: str) -> bool:
    return any(
        (one.startswith(a) and other.startswith(b)) or (one.startswith(b) and other.startswith(a))
        for a, b in _OPPOSITES
    )


STEPS = (
    Step("words", _same_words, _keys_of_words),
    Step("stem", _same_stem, _keys_of_stem),
    Step("part", _part_of, _keys_of_part),
    Step("short form", _short_form, _keys_of_beginnings),
    Step("initials", _initials, _keys_of_initials),
    Step("misspelled", _misspelled, _keys_of_beginnings),
)
"""In the order of their safety."""


def make_setting(labels: tuple[Label, ...], field: str, *, closed: bool) -> Setting:
    """What is known about all labels of a field.

    Args:
        labels: All of them.
        field: The field's name.
        closed: Whether all other names of the kind are known.
    """
    ends: dict[str, set[int]] = {}
    for label in labels:
        for word in label.words[1:]:
            ends.setdefault(word, set()).add(label.option)
    shared = frozenset(word for word, options in ends.items() if len(options) > 1) - _MODIFIERS - _NEGATIONS
    return Setting(frozenset(words(field.replace("_", " "))), shared, closed)
