"""What a description wants of a field's values that a column need not have: a sign, a zone, a form, a further part.

Matching looks at which words a description shares with a column. Some words say something else: `negative for
debits`, `in UTC`, `as YYYY-MM`, `with country code`. Where a proposal does not show that it gives what they ask for,
people have to look at it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lume_dagster.generator.evidence import Traits
from lume_dagster.generator.names import parse_name, stem
from lume_dagster.generator.profile import PLACEHOLDERS, TEMPORAL, Kind, shape
from lume_dagster.generator.vocabulary import STOPWORDS

_MOST_VALUES = 300
_NEARLY_ALL = 0.97
_NUMERIC = frozenset({Kind.INTEGER, Kind.NUMBER})


def unmet(
    target: Traits, used: Sequence[Traits], operation: Mapping[str, Any], sources: Sequence[Traits]
) -> tuple[str, ...]:
    """What a field's description wants and a proposal does not show that it gives, for people.

    Args:
        target: The field.
        used: The columns of the proposal.
        operation: Its mapper entry.
        sources: All columns.

    Returns:
        One sentence each; empty if nothing is known to be missing. No value of the source stands in it.
    """
    texts = _made(operation, used)
    found = [note for check in _CHECKS if (note := check(target, used, texts))] if target.description else []
    found += _further_parts(target, used, texts, sources, plain="extract" in operation)
    if several := _several(target, used, operation):
        found.append(several)
    return tuple(dict.fromkeys(found))


def sample_pattern(description: str) -> str | None:
    """The form of dates that a description shows, such as `YYYY-MM`; None if it shows none."""
    found = _DATE_FORM.search(description)
    return found[0] if found else None


def wants_sign(description: str) -> bool:
    """Whether a description says that numbers have a sign."""
    plain = _NOT_NEGATIVE.sub(" ", description.casefold())
    return _SIGN.search(plain) is not None


# --- what a proposal gives ---------------------------------------------------------------------------------------


def _made(operation: Mapping[str, Any], used: Sequence[Traits]) -> list[str]:
    """What the operation gives of the sampled values; empty where that is not told by one column alone."""
    if len(used) != 1 or used[0].profile is None or not operation.keys() <= {"extract", "regex", "split"}:
        return []
    texts = [
        text
        for text, _ in used[0].profile.values[:_MOST_VALUES]
        if text.strip().casefold() not in PLACEHOLDERS
    ]
    if spec := operation.get("regex"):
        matcher = re.compile(spec["pattern"])
        return [match[spec["group"]] for text in texts if (match := matcher.search(text))]
    if spec := operation.get("split"):
        place = spec["part"] - 1 if spec["part"] > 0 else spec["part"]
        pieces = [text.split(spec["by"]) for text in texts]
        return [one[place] for one in pieces if -len(one) <= place < len(one)]
    return texts


def _all(texts: Sequence[str], pattern: str) -> bool:
    """Whether nearly all texts are of a pattern; no texts are of none."""
    matcher = re.compile(pattern)
    return bool(texts) and sum(matcher.fullmatch(text) is not None for text in texts) >= _NEARLY_ALL * len(
        texts
    )


def _named(columns: Sequence[Traits]) -> str:
    return " and ".join(column.name.text for column in columns)


def _words(columns: Sequence[Traits]) -> frozenset[str]:
    """What the names of columns say: their words, and what these may mean."""
    return frozenset(
        stem(part)
        for column in columns
        for reading in column.name.readings
        for token in reading
        for part in (token, *token.split("_"))
    )


def _is_typed(target: Traits) -> bool:
    """Whether reading and writing of the values is for the formats to find."""
    return bool(target.options) or (target.typed and target.kind in TEMPORAL)


# --- signs, zones, forms -----------------------------------------------------------------------------------------

_SIGN = re.compile(
    r"\b(?:negatives?|minus|negativ|négatif)\b|(?<!was )(?<!is )(?<!be )(?<!date )\bsigned\b(?! (?:by|on))"
)
_NOT_NEGATIVE = re.compile(
    r"\b(?:non|not|never|no|without|nor|neither)(?: an?| be)?[\s-]*(?:negatives?|minus|signed)\b"
)
_NEGATIVE = r"\s*[-−(].*|.*[0-9]\s*-\s*"


def _sign(target: Traits, used: Sequence[Traits], texts: Sequence[str]) -> str | None:
    if target.kind not in _NUMERIC or len(used) != 1 or not wants_sign(target.description):
        return None
    if target.limits[0] is not None and target.limits[0] >= 0:
        return None
    if any(re.fullmatch(_NEGATIVE, text) for text in texts):
        return None
    return f"the description speaks of negative numbers, and {_named(used)} holds none"


_UTC = re.compile(r"\b(?:utc|gmt|zulu)\b")
_LOCAL = re.compile(
    r"\blocal (?:time|day|date|hour|clock|zone)|\b(?:europe|america|asia|africa|australia)/"
    r"|\b(?:cet|cest|edt|pst|pdt)\b"
)
_IN_UTC = r".*(?:Z|UTC|[+-]00:?00)\s*"


def _zone(target: Traits, used: Sequence[Traits], _texts: Sequence[str]) -> str | None:
    if target.typed and target.kind is Kind.DATE_TIME and not target.local:
        return None
    description = target.description.casefold()
    wanted = "UTC" if _UTC.search(description) else "a local time" if _LOCAL.search(description) else None
    timed = [column for column in used if column.kind in (Kind.DATE_TIME, Kind.TIME)]
    if wanted is None or not timed:
        return None
    whole = [text for column in timed if column.profile for text, _ in column.profile.values[:_MOST_VALUES]]
    if wanted == "UTC" and _all(whole, _IN_UTC):
        return None
    return f"the description wants {wanted}, and nothing says that {_named(timed)} shows it"


_UNIT_OF_TIME = "YYYY|yyyy|JJJJ|AAAA|YY|MMM|MM|DD|dd|TT|HH|hh|mm|ss"
_DATE_FORM = re.compile(
    rf"(?<![\w])(?:(?:{_UNIT_OF_TIME})(?:[-/.: T]?(?:{_UNIT_OF_TIME}))+|YYYY|YY|MMM)(?![\w])"
)


_DIGITS: Mapping[str, str] = {
    "MMM": "[A-Za-z]{3}",
    "MM": "(?:0[1-9]|1[0-2])",
    "DD": "(?:0[1-9]|[12][0-9]|3[01])",
    "dd": "(?:0[1-9]|[12][0-9]|3[01])",
    "TT": "(?:0[1-9]|[12][0-9]|3[01])",
    "HH": "(?:[01][0-9]|2[0-4])",
    "hh": "(?:[01][0-9]|2[0-4])",
    "mm": "[0-5][0-9]",
    "ss": "[0-5][0-9]",
}


def _date_form(target: Traits, _used: Sequence[Traits], texts: Sequence[str]) -> str | None:
    written = sample_pattern(target.description)
    if written is None or _is_typed(target):
        return None
    if not _all(texts, _pattern_of(written)):
        return f"the description wants {written}, and the values are not known to be written so"
    days = {"DD", "dd", "TT"}
    if written[:2] in (*days, "MM") and "M" in written:
        swapped = re.sub("MM|DD|dd|TT", lambda unit: "MM" if unit[0] in days else "DD", written)
        if _all(texts, _pattern_of(swapped)):
            return f"the description wants {written}, and the values may as well be {swapped}"
    return None


def _pattern_of(written: str) -> str:
    units = re.compile(_UNIT_OF_TIME)
    pattern, end = "", 0
    for match in units.finditer(written):
        digits = _DIGITS.get(match[0], f"[0-9]{{{len(match[0])}}}")
        pattern += re.escape(written[end : match.start()]) + digits
        end = match.end()
    return pattern + re.escape(written[end:])


_FORMS: tuple[tuple[str, str, str], ...] = (
    (r"\bupper[ -]?case|\bcapital letters|\ball caps\b", r"[^a-zß-öø-ÿ]*", "capital letters"),
    (r"\blower[ -]?case|\bsmall letters", r"[^A-ZÀ-ÖØ-Þ]*", "small letters"),
    (r"\be\.?164\b", r"\+[1-9][0-9]{6,14}", "E.164"),
    (r"\b(?:only digits|digits only)\b", r"[0-9]+", "only digits"),
    (r"\bwithout (?:spaces|blanks)\b", r"\S*", "no blanks"),
    (r"\bwithout (?:dashes|hyphens)\b", r"[^-]*", "no dashes"),
    (r"\biso[ -]?8601\b|\biso (?:date|form)", r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ].*)?", "ISO 8601"),
    (r"\biso[ -]?3166\b", r"[A-Za-z]{2,3}|[0-9]{3}", "ISO 3166"),
    (r"\balpha-?2\b", r"[A-Za-z]{2}", "two letters"),
    (r"\balpha-?3\b", r"[A-Za-z]{3}", "three letters"),
    (r"\biso[ -]?4217\b", r"[A-Z]{3}", "ISO 4217"),
    (r"\biso[ -]?639\b", r"[a-z]{2,3}", "ISO 639"),
)
"""What a description says of a text's form, how such texts are written, and how it is called."""
_SOME_FORM = re.compile(
    r"\b(?:(?:in|as) (?:(?:the|an?|this|that) )?(?:\w+ ){0,2}?(?:format|form|notation|style)|formatted (?:as|like)"
    r"|(?:inter)?national format|abbreviat\w+|initials?"
    r"|acronym|rounded|reversed|truncated|hashed|masked|anonymi[sz]ed|encoded|title case)\b"
)


_COUNTS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "eight": 8, "ten": 10}
_LENGTH = re.compile(
    r"(?<!up to )(?<!at most )(?<!at least )(?<!more than )"
    rf"\b({'|'.join(_COUNTS)}|[0-9]{{1,2}})[ -](digit|letter|character)s?\b"
    r"(?! (?:are|is|say|stand|for|suffix|prefix))"
)
_OF_LENGTH = {"digit": "[0-9]", "letter": r"[^\W\d_]", "character": "."}
_EXAMPLE = re.compile(
    r"(?:such as|\be\.g\.,?|for example,?|\bexample:|\blike) +[\"'`“]?([^\"'`”,;()]+)", re.IGNORECASE
)


def _length(target: Traits, _used: Sequence[Traits], texts: Sequence[str]) -> str | None:
    found = _LENGTH.search(target.description.casefold())
    if found is None or _is_typed(target):
        return None
    count = _COUNTS.get(found[1]) or int(found[1])
    if _all(texts, f"{_OF_LENGTH[found[2]]}{{{count}}}"):
        return None
    return f"the description wants {found[0]}, and the values are not known to be of that length"


def _example(target: Traits, _used: Sequence[Traits], texts: Sequence[str]) -> str | None:
    """A value that the description shows, written unlike all others; one without digits tells little."""
    found = _EXAMPLE.search(target.description)
    if found is None or _is_typed(target) or target.kind in _NUMERIC:
        return None
    shown = found[1].strip().rstrip(".")
    if not any(char.isdigit() for char in shown) or shape(shown) in set(map(shape, texts)):
        return None
    return "the description shows a value, and no value of the sample is written like it"


def _form(target: Traits, used: Sequence[Traits], texts: Sequence[str]) -> str | None:
    if _is_typed(target):
        return None
    description = target.description.casefold()
    for said, pattern, called in _FORMS:
        if re.search(said, description) and not _all(texts, pattern):
            return f"the description wants {called}, and the values are not known to be written so"
    other = _SOME_FORM.search(description)
    if other is None or stem(other[0]) in _words(used) or sample_pattern(target.description):
        return None
    if target.pattern is not None and texts:
        # By RE2, whose time is bounded: the schema may come from anybody.
        matched = pc.match_substring_regex(pa.array(texts), target.pattern)
        if pc.all(matched).as_py():
            return None
    return f"the description wants a form ({other[0]}), and the values are not known to be of it"


_OTHER_PIECE = re.compile(
    r"\b(?:weekday|(?:day|number) of (?:the )?(?:week|year)|(?:day|month) names?"
    r"|names? of (?:the )?(?:day|month|weekday)|quarter|fiscal|financial year"
    r"|(?:iso|calendar) (?:week|year)|week|julian|season|decade|century|in words"
    r"|since|elapsed|between|before|after|ago|until|next|previous|following)\b"
)


def _piece(target: Traits, used: Sequence[Traits], _texts: Sequence[str]) -> str | None:
    """A piece of a date that only a calendar knows."""
    if target.typed and target.kind in TEMPORAL:
        return None
    found = _OTHER_PIECE.search(target.description.casefold())
    dated = [column for column in used if column.kind in (Kind.DATE, Kind.DATE_TIME)]
    if found is None or not dated or stem(found[0]) in _words(dated):
        return None
    return f"the description wants {found[0]!r}, which {_named(dated)} does not show as it is"


_Check = Callable[[Traits, Sequence[Traits], Sequence[str]], "str | None"]
_CHECKS: tuple[_Check, ...] = (_sign, _zone, _date_form, _form, _length, _example, _piece)

_MORE_THAN_ONE = frozenset({"pair", "range"})


def _several(target: Traits, used: Sequence[Traits], operation: Mapping[str, Any]) -> str | None:
    """A column of pairs, of which the field is one: the `Currency Pair` of a currency."""
    said = _MORE_THAN_ONE & _words(used)
    if "extract" not in operation or not said or said & _words([target]):
        return None
    return f"each value of {_named(used)} is a {min(said)}"


# --- further parts -----------------------------------------------------------------------------------------------

_WITH = re.compile(
    r"\b(with|including|includes|incl\.?|plus|followed by|preceded by"
    r"|prefixed (?:by|with)|and|mit|samt|inklusive|inkl\.?|und|avec|con)\s+"
    r"(?:its |the |their |an? )?((?:[^\W\d_]+[ -]?){1,4})"
)
_ENDS_PART = frozenset(
    {
        "of", "for", "that", "which", "in", "at", "on", "as", "to", "from", "by", "if", "when", "where", "who", "with",
        "and", "or", "is", "was", "are", "were", "be", "not", "has", "have", "only", "per",
    }
)  # fmt: skip
_SHOWN: Mapping[str, str] = {
    "country code": r"\s*(?:\+|00).*",
    "house number": r".*[0-9].*",
    "street number": r".*[0-9].*",
    "number": r".*[0-9].*",
    "leading zeros": r"0.*|.{2,}",
    "time": r".*[0-9]:[0-9].*",
    "currency": r".*[^\W\d_].*|.*[$€£¥].*",
    "unit": r".*[^\W\d_].*",
    "decimals": r".*[0-9][.,][0-9]+",
}
"""Parts that the values themselves show."""
_IMPLIED: Mapping[str, str] = {"tax": "gross", "vat": "gross", "sales tax": "gross"}
"""Parts that another word of a column's name says."""
_KNOWN_PARTS = frozenset(
    {
        *(_SHOWN.keys() - {"number"}),
        "area code", "dialling code", "dialing code", "extension", "middle name", "middle initial", "middle names",
        "title", "suffix", "prefix", "salutation", "time zone", "timezone", "offset", "tax", "vat", "sales tax",
        "shipping", "sign", "check digit", "units", "seconds", "zip", "zip code", "postal code", "postcode", "city",
        "state", "country",
    }
)  # fmt: skip
"""Parts that a description means where it says `with`, whether a column of them is there or not."""
_WHOLE = re.compile(r"\b(?:full|complete|entire|whole)\b")
_PARTS_OF: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (frozenset({"address"}), frozenset({"city", "zip", "street_number"})),
    (frozenset({"phone", "mobile"}), frozenset({"country_code", "area_code", "area", "extension"})),
    (frozenset({"name", "full_name"}), frozenset({"first_name", "last_name"})),
)
"""What a full one consists of."""


def _further_parts(
    target: Traits,
    used: Sequence[Traits],
    texts: Sequence[str],
    sources: Sequence[Traits],
    *,
    plain: bool,
) -> Iterator[str]:
    others = [column for column in sources if all(column is not one for one in used)]
    have = _words(used)
    for joint, part in _parts_said(target.description):
        wanted = _content(part)
        if not wanted or wanted <= have or _IMPLIED.get(part) in have:
            continue
        shown = _SHOWN.get(part)
        if shown is not None and _all(texts, shown):
            continue
        beside = [column for column in others if _names_it(column, wanted)]
        if beside:
            yield f"the description wants {part} with it, and the proposal leaves out {_named(beside[:1])}"
        elif joint not in ("and", "und") and (part in _KNOWN_PARTS or not plain):
            yield f"the description wants {part} with it, and nothing says that {_named(used)} holds it"
    if _WHOLE.search(target.description.casefold()) and len(used) == 1:
        yield from _parts_left(target, used[0], others)


def _parts_said(description: str) -> Iterator[tuple[str, str]]:
    """What follows a `with`: which word joins it, and the part."""
    for match in _WITH.finditer(description.casefold()):
        words = []
        for word in re.findall(r"[^\W\d_]+", match[2]):
            if word in _ENDS_PART:
                break
            words.append(word)
        if words:
            yield match[1], " ".join(words)


def _content(text: str) -> frozenset[str]:
    """What a phrase says: its words as concepts."""
    return frozenset(
        stem(part)
        for token in (parse_name(text).readings[-1:] or ((),))[0]
        for part in token.split("_")
        if part not in STOPWORDS
    )


def _names_it(column: Traits, wanted: frozenset[str]) -> bool:
    """Whether a column is of a part, by its name: `Area` of an area code, `Country Code` of a country code."""
    return any(
        (said := frozenset(stem(part) for token in reading for part in token.split("_")) - STOPWORDS)
        and (said == wanted or (len(said) == 1 and said < wanted and not said & _HEADS))
        for reading in column.name.readings[:2]
    )


_HEADS = frozenset({"number", "identifier", "code", "name", "date", "time", "type", "amount"})


def _parts_left(target: Traits, used: Traits, others: Sequence[Traits]) -> Iterator[str]:
    """The columns that a full address, phone or name would have, too."""
    wanted = frozenset(token for reading in target.name.readings for token in reading)
    for heads, parts in _PARTS_OF:
        if not wanted & heads:
            continue
        left = [
            column
            for column in others
            if any(
                "_".join(reading) in parts or frozenset(reading) & parts
                for reading in column.name.readings[:2]
            )
        ]
        whole = {"full", "complete", "full_name"} & _words([used])
        if left and not whole:
            yield f"the description wants all of it, and the proposal leaves out {_named(left[:2])}"
