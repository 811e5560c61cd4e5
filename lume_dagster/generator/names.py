"""How alike two column names are: words, abbreviations, acronyms, synonyms, and what excludes each other."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

from rapidfuzz.distance import Levenshtein

from lume_dagster.generator.units import UNITS
from lume_dagster.generator.vocabulary import ABBREVIATIONS, ACRONYMS, CONCEPTS, HAN, OPPOSITES, STOPWORDS

_MAX_TOKENS = 12
_MAX_TEXT = 1_000
_LONGEST_PHRASE = max(map(len, CONCEPTS))
_LONGEST_HAN = max(map(len, HAN))
_PIECES = re.compile(r"[㐀-鿿豈-﫿]+|[^\W\d_]+|[0-9]+")
_HAN_SCRIPT = re.compile("[㐀-鿿豈-﫿]")
_CASES = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[0-9])(?=[A-Z][a-z])")
_HARDLY_ALIKE, _NEARLY_ALIKE = 0.2, 0.5
# Quality is not quantity, nor contract contact: two words of nearly the same letters may be two words.
_MISSPELT = 0.65
_CUT_SHORT = 0.75
_KNOWN = {word for phrase in CONCEPTS for word in phrase} | {
    word
    for words in (*ABBREVIATIONS.values(), *OPPOSITES)
    for word in ([words] if isinstance(words, str) else words)
}
# An arrival time is the actual one, if its name does not say that it is the scheduled one.
_IMPLIED = ("actual", "current")
_NEGATIONS = frozenset({"not", "non", "without", "never", "nicht", "kein", "ohne", "sans", "sin"})
_DENYING = ("un", "in", "im", "ir", "il", "non", "dis", "nicht")
_NUMBERS = frozenset({"number", "identifier", "code"})
# A unit says how a column is measured, not what it is.
_UNITS = frozenset(word for unit in UNITS if unit.kind != "time" for word in unit.sure if len(word) > 1)
# `ordered_at` is the time of the order, and `hired_on` its day.
_LAST_WORDS = {"at": "timestamp", "on": "date"}
# What a tool calls a column that has no name.
_GIVEN = re.compile(
    r"_*(?:(?:unnamed|untitled|no ?name|column|col|field|fld|attribute|attr|variable|var|expr|[cfvx]"
    r"|spalte|feld|colonne|列|栏)[\s_:.-]*[0-9]{1,4}|[0-9]{1,3}|unnamed|untitled|no ?name)",
    re.IGNORECASE,
)
_FREQUENT_HEADS = frozenset(
    {
        "num",
        "no",
        "nr",
        "id",
        "code",
        "cd",
        "name",
        "nm",
        "date",
        "dt",
        "time",
        "tm",
        "type",
        "nummer",
        "datum",
    }
)


@dataclass(frozen=True)
class Name:
    """A column name taken apart.

    Attributes:
        text: The name as it is written.
        tokens: Its words in lower case, without accents; Han script is translated word by word.
        readings: The words, then what they may mean: abbreviations and acronyms written out, phrases as concepts.
        joined: The words without anything between them.
    """

    text: str
    tokens: tuple[str, ...]
    readings: tuple[tuple[str, ...], ...]
    joined: str

    @cached_property
    def is_given(self) -> bool:
        """Whether it is no name at all, but what a tool puts where there is none: `column_3`, `Unnamed: 0`, `V1`."""
        return _GIVEN.fullmatch(self.text.strip()) is not None

    @cached_property
    def is_count(self) -> bool:
        """Whether it says how many there are: the number of employees is no employee's number."""
        return any(
            second == "of" and first in ("number", "no", "num", "nr", "nbr")
            for first, second in pairwise(self.tokens)
        )

    @cached_property
    def numbers(self) -> frozenset[int]:
        """The numbers among its words."""
        return frozenset(int(token) for token in self.tokens if token.isdecimal())

    @property
    def groups(self) -> Mapping[int, str]:
        """The groups of words that exclude each other of which the name has one, and which word it is."""
        return _groups(self.readings)


@lru_cache(maxsize=20_000)
def _groups(readings: tuple[tuple[str, ...], ...]) -> Mapping[int, str]:
    found: dict[int, str] = {}
    for reading in readings[:2]:
        for token in reading:
            for word in token.split("_"):
                for group in OPPOSITES.get(word, ()):
                    found.setdefault(group, word)
    return found


def stem(word: str) -> str:
    """A word without its most frequent English endings; for comparing, not for reading."""
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch")):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            return word[: -len(ending)] + instead
    if word.endswith("s") and len(word) > 3 and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def words(text: str) -> tuple[str, ...]:
    """The words of a name or a description, in lower case and without accents."""
    found: list[str] = []
    plain = unicodedata.normalize("NFKC", text[:_MAX_TEXT])
    for piece in _PIECES.findall(plain):
        if _HAN_SCRIPT.match(piece):
            found.extend(_han_words(piece))
            continue
        for part in _CASES.split(piece):
            folded = unicodedata.normalize("NFKD", part.casefold())
            found.append("".join(char for char in folded if not unicodedata.combining(char)))
    return tuple(word for word in found if word)


def _han_words(text: str) -> Iterable[str]:
    start = 0
    while start < len(text):
        for length in range(min(_LONGEST_HAN, len(text) - start), 0, -1):
            if meaning := HAN.get(text[start : start + length]):
                yield from meaning
                start += length
                break
        else:
            yield text[start]
            start += 1


def _segments(word: str) -> tuple[str, ...]:
    """A word that is two known words run together, as these."""
    if len(word) < 5 or word in _KNOWN or stem(word) in _KNOWN or word in ABBREVIATIONS or word in ACRONYMS:
        return (word,)
    for cut in range(len(word) - 2, 2, -1):
        head, tail = word[:cut], word[cut:]
        # German puts an s between the two: Geburtsdatum.
        if any(one in _KNOWN for one in (head, stem(head), head.removesuffix("s"))) and (
            tail in _FREQUENT_HEADS or (len(tail) > 3 and tail in _KNOWN)
        ):
            return (head, tail)
    return (word,)


def _concepts(tokens: Sequence[str]) -> tuple[str, ...]:
    """Tokens with their abbreviations written out, and phrases of several words as one concept."""
    long = [
        token if (token,) in CONCEPTS or token not in ABBREVIATIONS else ABBREVIATIONS[token][0]
        for token in tokens
    ]
    stems = [stem(token) for token in long]
    found: list[str] = []
    start = 0
    while start < len(long):
        for length in range(min(_LONGEST_PHRASE, len(long) - start), 0, -1):
            end = start + length
            concepts = CONCEPTS.get(tuple(long[start:end])) or CONCEPTS.get(tuple(stems[start:end]))
            if concepts:
                found.append(concepts[0])
                start = end
                break
        else:
            found.append(long[start])
            start += 1
    return tuple(found)


@lru_cache(maxsize=20_000)
def parse_name(text: str) -> Name:
    """Take a column name apart."""
    raw = words(text)[:_MAX_TOKENS]
    joined = "".join(raw)
    tokens = tuple(piece for word in raw for piece in _segments(word))
    readings = [tokens, _concepts(tokens)]
    for index, token in enumerate(tokens):
        for phrase in ACRONYMS.get(token, ()):
            written_out = (*tokens[:index], *phrase, *tokens[index + 1 :])
            readings.extend((_concepts(written_out), written_out))
    if len(tokens) > 1 and tokens[-1] in _LAST_WORDS:
        readings.append(_concepts((*tokens[:-1], _LAST_WORDS[tokens[-1]])))
    return Name(text, tokens, tuple(dict.fromkeys(readings)), joined)


def _skeleton(word: str) -> str:
    return word[:1] + "".join(char for char in word[1:] if char not in "aeiou")


def _is_subsequence(short: str, long: str) -> bool:
    rest = iter(long)
    return all(char in rest for char in short)


@lru_cache(maxsize=400_000)
def word_similarity(left: str, right: str) -> float:
    """How sure it is that two words mean the same, from 0 to 1."""
    if left == right:
        return 1.0
    if left.isdigit() or right.isdigit():
        return 0.0
    short, long = sorted((left, right), key=len)
    if stem(short) == stem(long):
        return 0.97
    best = 0.0
    if long in ABBREVIATIONS.get(short, ()) or stem(long) in ABBREVIATIONS.get(short, ()):
        best = 0.93
    elif set(ABBREVIATIONS.get(short, ())) & set(ABBREVIATIONS.get(long, ())):
        best = 0.9
    if _meanings(left) & _meanings(right):
        best = max(best, 0.88)
    if best:
        return best
    return max(best, _spelling(short, long))


@lru_cache(maxsize=20_000)
def _meanings(word: str) -> frozenset[str]:
    phrase = tuple(word.split("_"))
    return frozenset(CONCEPTS.get(phrase) or CONCEPTS.get((*phrase[:-1], stem(phrase[-1]))) or ())


def _spelling(short: str, long: str) -> float:
    """How sure it is that a word is another one cut short, without its vowels or misspelt."""
    share = len(short) / len(long)
    best = 0.0
    if short[:1] == long[:1]:
        known = short in _KNOWN
        if long.startswith(short):
            strength = {1: 0.3, 2: 0.5}.get(len(short), 0.66 + 0.3 * share)
            best = max(best, strength * (0.8 if known and len(short) > 3 else 1.0))
        if len(short) > 1 and short == _skeleton(long):
            best = max(best, 0.88 if len(short) > 2 else 0.8)
        elif len(short) > 2 and _skeleton(short) == _skeleton(long):
            best = max(best, _MISSPELT)
        elif len(short) > 2 and share <= _CUT_SHORT and not known and _is_subsequence(short, long):
            best = max(best, 0.4 + 0.35 * share)
        shared = len([1 for left, right in zip(short, long, strict=False) if left == right])
        if shared >= 5 and long.startswith(short[:5]):
            best = max(best, 0.8 * _prefix(short, long) / max(len(short), 6))
    if len(short) > 3:
        alike = Levenshtein.normalized_similarity(short, long)
        if alike >= 0.75:
            best = max(best, _MISSPELT)
        if short in long:
            best = max(best, 0.35 + 0.4 * share)
    return best


def _prefix(left: str, right: str) -> int:
    count = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        count += 1
    return count


@dataclass(frozen=True)
class NameEvidence:
    """How alike two names are; all figures from 0 to 1.

    Attributes:
        common: The share of both names' words that the other has too, weighted by how rare a word is.
        contained: The share of the name that is covered better by the other.
        differs: Where they have words in common: the share of each name's words that the other lacks, of the name that
            is covered better: `ship date` and `order date` are two dates.
        exact: The names are the same but for case and separators.
        opposed: They have words that exclude each other.
    """

    common: float
    contained: float
    differs: float
    exact: bool
    opposed: bool


class NameWeights:
    """How much each word of a schema's names says: words that many columns have say little.

    Args:
        names: The names of a schema's columns.
    """

    def __init__(self, names: Iterable[Name]) -> None:
        parsed = list(names)
        self._count = len(parsed)
        self._columns = Counter(
            word
            for name in parsed
            for word in {stem(token) for reading in name.readings for token in reading}
        )
        self._weights: dict[str, float] = {}

    def __getitem__(self, word: str) -> float:
        known = self._weights.get(word)
        if known is None:
            known = self._weights[word] = self._weight(word)
        return known

    def _weight(self, word: str) -> float:
        if word in STOPWORDS:
            return 0.15
        if word in _UNITS:
            return 0.3
        columns = self._columns.get(stem(word), 0)
        rarity = math.log((self._count + 1) / max(columns, 1)) / math.log(self._count + 1)
        return max(0.15, rarity if len(word) > 1 else 0.7 * rarity)


@dataclass(frozen=True)
class _Cover:
    """How much of one name the other one has, as shares of its words' weight.

    Attributes:
        had: The words that the other has, as far as they are alike.
        lacked: The words that the other has nothing like.
    """

    had: float
    lacked: float


def _cover(
    left: Sequence[str], right: Sequence[str], left_weights: NameWeights, right_weights: NameWeights
) -> tuple[_Cover, _Cover]:
    """How much of each side's words the other side has, each word used once."""
    pairs = []
    for one, first in enumerate(left):
        for other, second in enumerate(right):
            alike = word_similarity(first, second)
            if alike > _HARDLY_ALIKE:
                pairs.append((-alike, abs(one - other), one, other))
    pairs.sort()
    used_left: dict[int, float] = {}
    used_right: dict[int, float] = {}
    for negative, _, one, other in pairs:
        if one not in used_left and other not in used_right:
            used_left[one] = used_right[other] = -negative
    return _covered(left, used_left, left_weights), _covered(right, used_right, right_weights)


def _covered(tokens: Sequence[str], used: Mapping[int, float], weights: NameWeights) -> _Cover:
    total = sum(weights[token] for token in tokens)
    if not total:
        return _Cover(0.0, 0.0)
    had = sum(weights[tokens[index]] * alike for index, alike in used.items())
    lacked = sum(
        weights[token]
        for index, token in enumerate(tokens)
        if used.get(index, 0.0) < _NEARLY_ALIKE or used[index] == _MISSPELT
    )
    return _Cover(had / total, lacked / total)


def _is_acronym(short: str, tokens: Sequence[str]) -> bool:
    if not 2 <= len(short) <= 6 or len(tokens) < 2:
        return False
    initials = "".join(token[0] for token in tokens)
    content = "".join(token[0] for token in tokens if token not in STOPWORDS)
    return short in (initials, content)


def compare_names(
    left: Name, right: Name, left_weights: NameWeights, right_weights: NameWeights
) -> NameEvidence:
    """Compare the name of a source column with that of a target field.

    Args:
        left: One name.
        right: The other.
        left_weights: How much the words of the first one's schema say.
        right_weights: The same of the other's.
    """
    if not left.tokens or not right.tokens:
        same = left.text == right.text
        return NameEvidence(float(same), float(same), 0.0, same, opposed=False)
    if left.joined == right.joined:
        return NameEvidence(1.0, 1.0, 0.0, exact=True, opposed=False)
    if left.is_given or right.is_given:
        return NameEvidence(0.0, 0.0, 0.0, exact=False, opposed=False)
    best = (0.0, 0.0, 0.0)
    for index, one in enumerate(left.readings):
        for other_index, other in enumerate(right.readings):
            covers = _cover(one, other, left_weights, right_weights)
            trust = 1.0 if index == other_index == 0 else 0.97
            low, high = sorted(cover.had for cover in covers)
            mean = 2 * low * high / (low + high) if high else 0.0
            best = max(best, (trust * mean, trust * high, -min(cover.lacked for cover in covers)))
    common, contained, differs = best
    if _is_acronym(left.joined, right.tokens) or _is_acronym(right.joined, left.tokens):
        # Two letters are the initials of many names in a wide schema.
        sure = {2: 0.5, 3: 0.7}.get(min(len(left.joined), len(right.joined)), 0.85)
        common, contained, differs = max(common, sure), max(contained, sure), 0.0
    return NameEvidence(
        common,
        contained,
        -differs if common else 0.0,
        exact=False,
        opposed=_opposed(left, right),
    )


def _opposed(left: Name, right: Name) -> bool:
    """Whether two names have words that exclude each other; a name that says neither means the actual, current one."""
    if _is_negated(left) != _is_negated(right) or _denies(left, right) or _denies(right, left):
        return True
    if left.numbers and right.numbers and not left.numbers & right.numbers:
        return True
    if left.is_count != right.is_count and _NUMBERS & (
        _all_words(left) if right.is_count else _all_words(right)
    ):
        return True
    for group in left.groups.keys() | right.groups.keys():
        implied = next((word for word in _IMPLIED if group in OPPOSITES[word]), None)
        one, other = left.groups.get(group, implied), right.groups.get(group, implied)
        if one is None or other is None or one == other:
            continue
        if one not in _all_words(right) and other not in _all_words(left):
            return True
    return False


def _is_negated(name: Name) -> bool:
    """Whether a word of the name says that it is not so; `no` does before a word, unless a number is meant."""
    if name.tokens[0] == "no" and len(name.tokens) > 1 and name.tokens[1] != "of":
        return True
    return any(token in _NEGATIONS for token in name.tokens)


def _denies(left: Name, right: Name) -> bool:
    """Whether a word of the left name denies one of the right: `unpaid` and `paid`."""
    whole = set(right.tokens)
    return any(
        token.startswith(prefix) and len(token) - len(prefix) > 3 and token[len(prefix) :] in whole
        for token in left.tokens
        for prefix in _DENYING
    )


@lru_cache(maxsize=20_000)
def _all_words(name: Name) -> frozenset[str]:
    return frozenset(word for reading in name.readings for token in reading for word in token.split("_"))
