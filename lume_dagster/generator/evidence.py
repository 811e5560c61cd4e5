"""What speaks for a source column being a target field: names, descriptions, types, values; each as a figure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, fields
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rapidfuzz.fuzz import ratio
from rapidfuzz.process import extractOne

from lume_dagster.engine.pattern import PatternProblem, translate
from lume_dagster.generator.names import (
    Name,
    NameWeights,
    compare_names,
    parse_name,
    stem,
    word_similarity,
    words,
)
from lume_dagster.generator.profile import PLACEHOLDERS, TEMPORAL, ColumnProfile, Kind, profile_column
from lume_dagster.generator.vocabulary import STOPWORDS

_MAX_COMPARED = 300
_MAX_COMPARED_TEXT = 60
_MAX_TERMS = 400
_MAX_DESCRIPTION = 1_000
_MAX_OPTIONS = 200
_MAX_RESOLVED = 25
_WORTH_A_LOOK = 0.1
_ELSEWHERE = -0.5
_SHORT = 8
_OTHER_UNIT = -0.5
_APART = 0.3

_NUMERIC = {Kind.INTEGER, Kind.NUMBER, Kind.QUANTITY}
_TEXTUAL = {Kind.TEXT, Kind.CODE}
_ADDRESSES = {Kind.URI, Kind.IMAGE}
_DISTINCTIVE = {Kind.EMAIL, Kind.UUID, Kind.IP_ADDRESS, *_ADDRESSES}
_MISFITS: tuple[tuple[Set[Kind], Set[Kind], float], ...] = (
    (_DISTINCTIVE, set(), -1.0),
    (TEMPORAL, {Kind.INTEGER, Kind.CODE, Kind.QUANTITY}, -0.3),
    (TEMPORAL, set(), -0.8),
    ({Kind.BOOLEAN}, {Kind.INTEGER, Kind.TEXT}, -0.2),
    ({Kind.BOOLEAN}, set(), -0.7),
    ({Kind.CODE}, set(), 0.0),
    (set(Kind), set(), -0.5),
)
"""Kinds that differ, and how far that speaks against a pair; the first that applies."""


@dataclass(frozen=True)
class Traits:
    """One column or field, prepared for comparing it with many.

    Attributes:
        name: Its name.
        title: Another name of it, or none.
        about: The words of its description.
        kind: What its values are, or none if nobody says so.
        profile: What its values look like, if rows of them are known.
        values: The known values in lower case with their shares: of rows, or the permitted ones.
        terms: The words in them, likewise.
        grams: The letters in groups of three, likewise.
        limits: The smallest and the greatest number that is permitted.
        pattern: An expression in RE2's dialect that each value has to match.
        local: A date and time without a zone is wanted.
        typed: The schema says the kind; nothing else can become the field.
        options: The permitted values as they are written; none if the schema lists none.
        told: What the values should be by the name, where nothing else says so.
        description: Its description as it is written, cut where it is very long.
    """

    name: Name
    title: Name | None
    about: tuple[str, ...]
    kind: Kind | None
    profile: ColumnProfile | None
    values: Mapping[str, float]
    terms: Mapping[str, float]
    grams: Mapping[str, float]
    limits: tuple[float | None, float | None] = (None, None)
    pattern: str | None = None
    local: bool = False
    typed: bool = False
    options: frozenset[str] = frozenset()
    told: Kind | None = None
    description: str = ""

    @property
    def is_choice(self) -> bool:
        """Whether a list says which values there are."""
        return self.profile is None and bool(self.values)


@dataclass(frozen=True)
class Evidence:
    """What speaks for one pair, mostly from 0 to 1; what is not known is 0, and what speaks against it is negative.

    Attributes:
        name: The words that the names have in common.
        contained: The same, of the name that is covered better by the other.
        differs: The names have words in common, and each has others that the other lacks.
        same_name: The names are the same but for case and separators.
        opposed: The names have words that exclude each other.
        about: How much of the source's name the description says.
        kind: How well the kinds of values go together; against it below 0.
        only: Both are the only ones of a kind that few columns are of, such as email addresses.
        values: The values that both have, the rarer the more.
        terms: The words that both sides' values have.
        grams: How alike the letters of the values are.
        resolved: How many of the source's texts are nearly one of the permitted or known ones.
        numbers: How alike the numbers are distributed; against it below 0.
        unit: The same unit, or another one, stands beside the numbers; against it below 0.
        lengths: How alike the lengths are; against it below 0.
        distinct: How alike the shares of different values are; against it below 0.
        permitted: How many of the values the pattern and the limits permit; against it below 0.
    """

    name: float = 0.0
    contained: float = 0.0
    differs: float = 0.0
    same_name: float = 0.0
    opposed: float = 0.0
    about: float = 0.0
    kind: float = 0.0
    only: float = 0.0
    values: float = 0.0
    terms: float = 0.0
    grams: float = 0.0
    resolved: float = 0.0
    numbers: float = 0.0
    unit: float = 0.0
    lengths: float = 0.0
    distinct: float = 0.0
    permitted: float = 0.0

    @property
    def contradicted(self) -> bool:
        """Whether something speaks so clearly against the pair that people should look at it, whatever is for it.

        Numbers that lie elsewhere may be in another unit, unless both sides write the same one beside them.
        """
        elsewhere = self.numbers < _ELSEWHERE and self.unit <= 0
        return self.opposed > 0 or self.kind < 0 or self.permitted < 0 or elsewhere

    @property
    def names_another(self) -> bool:
        """Whether the names tell two things apart, `ship date` and `order date`, and no value joins them."""
        joined = max(self.values, self.terms, self.resolved, self.only, self.numbers, self.unit)
        return self.differs >= _APART and joined < _APART


FIGURES: tuple[str, ...] = tuple(field.name for field in fields(Evidence))
"""The names of the figures, in their order."""


def source_traits(profile: ColumnProfile) -> Traits:
    """Prepare a source column."""
    return _traits(parse_name(profile.name), None, (), profile.kind, profile, profile.values)


_TYPE_KINDS = {"integer": Kind.INTEGER, "number": Kind.NUMBER, "boolean": Kind.BOOLEAN}
_FORMAT_KINDS = {
    "date": Kind.DATE,
    "date-time": Kind.DATE_TIME,
    "date-time-local": Kind.DATE_TIME,
    "time": Kind.TIME,
    "time-local": Kind.TIME,
    "email": Kind.EMAIL,
    "uri": Kind.URI,
    "uuid": Kind.UUID,
    "ipv4": Kind.IP_ADDRESS,
}


def field_kind(schema: Mapping[str, Any]) -> Kind | None:
    """What the type and the format of a property say its values are; None where that is any text."""
    written = schema.get("type")
    names = written if isinstance(written, list) else [written]
    for name in names:
        if name in _TYPE_KINDS:
            return _TYPE_KINDS[name]
    return _FORMAT_KINDS.get(schema.get("format", ""))


_NAMED_KINDS = {
    "email": Kind.EMAIL,
    "website": Kind.URI,
    "photo": Kind.IMAGE,
    "uuid": Kind.UUID,
    "guid": Kind.UUID,
    "ip": Kind.IP_ADDRESS,
    "date": Kind.DATE,
    "timestamp": Kind.DATE_TIME,
}


def told_kind(name: Name) -> Kind | None:
    """What the last word of a name says that the values are: `work_email`, `source_ip`, `image_url`."""
    for reading in name.readings[:2]:
        if reading[-1:] == ("website",) and "photo" in reading:
            return Kind.IMAGE
        last = reading[-2:-1] if reading[-1:] == ("address",) else reading[-1:]
        if last and last[0] in _NAMED_KINDS:
            return _NAMED_KINDS[last[0]]
    return None


def field_traits(name: str, schema: Mapping[str, Any], sample: ColumnProfile | None) -> Traits:
    """Prepare a field of the target schema.

    Args:
        name: The property's name.
        schema: Its JSON Schema.
        sample: Values in the wanted form, if there are any.
    """
    options = [
        str(value) for value in (*schema.get("enum", ()), *schema.get("examples", ())) if value is not None
    ]
    if "const" in schema:
        options.append(str(schema["const"]))
    if sample is not None and sample.kind is Kind.EMPTY:
        sample = None
    kind = field_kind(schema)
    if sample is not None:
        values: Sequence[tuple[str, int]] = sample.values
        kind = kind or sample.kind
    else:
        values = [(option, 1) for option in dict.fromkeys(options)]
        if kind is None and values:
            kind = profile_column(name, 0, options).kind
    title = schema.get("title")
    limits = (_limit(schema, "minimum", "exclusiveMinimum"), _limit(schema, "maximum", "exclusiveMaximum"))
    return _traits(
        parse_name(name),
        parse_name(title) if title and parse_name(title).joined != parse_name(name).joined else None,
        tuple(word for word in words(schema.get("description", "")) if word not in STOPWORDS),
        kind,
        sample,
        values,
        limits,
        _pattern(schema.get("pattern")),
        local=schema.get("format") == "date-time-local",
        typed=field_kind(schema) is not None,
        options=frozenset(str(value) for value in schema.get("enum", ()) if isinstance(value, str)),
        told=told_kind(parse_name(name)) if kind is None else None,
        description=schema.get("description", "")[:_MAX_DESCRIPTION],
    )


def _limit(schema: Mapping[str, Any], *keywords: str) -> float | None:
    return next((float(schema[keyword]) for keyword in keywords if keyword in schema), None)


def _pattern(written: str | None) -> str | None:
    if not written:
        return None
    try:
        return translate(written)
    except PatternProblem:
        return None


def _traits(
    name: Name,
    title: Name | None,
    about: tuple[str, ...],
    kind: Kind | None,
    profile: ColumnProfile | None,
    values: Iterable[tuple[str, int]],
    limits: tuple[float | None, float | None] = (None, None),
    pattern: str | None = None,
    *,
    local: bool = False,
    typed: bool = False,
    options: frozenset[str] = frozenset(),
    told: Kind | None = None,
    description: str = "",
) -> Traits:
    plain, terms, grams = Counter[str](), Counter[str](), Counter[str]()
    for value, count in list(values)[:_MAX_COMPARED]:
        text = " ".join(value[:_MAX_COMPARED_TEXT].casefold().split())
        if text in PLACEHOLDERS:
            continue
        plain[text] += count
        for term in set(_terms(text)):
            terms[term] += count
        for gram in _grams(text):
            grams[gram] += count
    return Traits(
        name,
        title,
        about,
        kind,
        profile,
        _shares(plain),
        _shares(terms),
        _shares(grams),
        limits,
        pattern,
        local,
        typed,
        options,
        told,
        description,
    )


_TERM = re.compile(r"[㐀-鿿]|[^\W\d_]+|[0-9]+")


def _terms(text: str) -> list[str]:
    return [stem(term) for term in _TERM.findall(text)]


def _grams(text: str) -> set[str]:
    padded = f" {text} "
    return {padded[start : start + 3] for start in range(len(padded) - 2)}


def _shares(counts: Counter[str]) -> Mapping[str, float]:
    common = counts.most_common(_MAX_TERMS)
    total = sum(count for _, count in common)
    return {text: count / total for text, count in common}


class Rarity:
    """How rare a word or value is among columns: what stands in many of them tells them apart badly.

    Args:
        columns: What each column holds.
    """

    def __init__(self, columns: Iterable[Mapping[str, float]]) -> None:
        listed = [column for column in columns if column]
        self._count = len(listed)
        self._columns = Counter(text for column in listed for text in column)
        self._norms: dict[int, float] = {}

    def __getitem__(self, text: str) -> float:
        return math.log(1 + self._count / self._columns[text]) / math.log(1 + self._count)

    def cosine(self, left: Mapping[str, float], right: Mapping[str, float]) -> float:
        """The cosine of two columns, damped so that no frequent text outweighs all others."""
        if not left or not right:
            return 0.0
        small, large = (left, right) if len(left) <= len(right) else (right, left)
        dot = sum(
            math.sqrt(share * large[text]) * self[text] ** 2 for text, share in small.items() if text in large
        )
        return dot / (self._norm(left) * self._norm(right)) if dot else 0.0

    def covered(self, left: Mapping[str, float], right: Mapping[str, float]) -> float:
        """The share of the left column that stands in the right one too."""
        total = sum(share * self[text] for text, share in left.items())
        return (
            sum(share * self[text] for text, share in left.items() if text in right) / total if total else 0.0
        )

    def shared(self, left: Mapping[str, float], right: Mapping[str, float]) -> float:
        """How rare the values are, on the average, that both have."""
        both = left.keys() & right.keys()
        return max((self[text] for text in both), default=0.0)

    def _norm(self, column: Mapping[str, float]) -> float:
        known = self._norms.get(id(column))
        if known is None:
            known = self._norms[id(column)] = math.sqrt(
                sum(share * self[text] ** 2 for text, share in column.items())
            )
        return known


class Comparison:
    """Compares each source column with each target field.

    Args:
        sources: The source columns.
        targets: The target fields.
    """

    def __init__(self, sources: Sequence[Traits], targets: Sequence[Traits]) -> None:
        self._source_names = NameWeights(source.name for source in sources)
        self._target_names = NameWeights(target.name for target in targets)
        both = (*sources, *targets)
        self._values = Rarity(column.values for column in both)
        self._terms = Rarity(column.terms for column in both)
        self._grams = Rarity(column.grams for column in both)
        self._source_kinds = Counter(source.kind for source in sources)
        self._target_kinds = Counter(target.kind or target.told for target in targets)

    def evidence(self, source: Traits, target: Traits) -> Evidence:
        """What speaks for a source column being a target field."""
        named = compare_names(source.name, target.name, self._source_names, self._target_names)
        if target.title is not None:
            titled = compare_names(source.name, target.title, self._source_names, self._target_names)
            named = max(named, titled, key=lambda one: (one.exact, one.common, one.contained))
        values = terms = grams = resolved = numbers = unit = lengths = distinct = 0.0
        if source.values and target.values:
            values = max(
                self._values.covered(source.values, target.values),
                self._values.covered(target.values, source.values) if target.profile else 0.0,
            ) * self._values.shared(source.values, target.values)
            terms = self._terms.cosine(source.terms, target.terms)
            grams = self._grams.cosine(source.grams, target.grams)
            if grams > _WORTH_A_LOOK or (grams and max(map(len, source.values)) <= _SHORT):
                resolved = self._resolved(source, target)
        if source.profile and target.profile and source.values and target.values:
            lengths = _length_likeness(source.profile, target.profile)
            distinct = 1 - 3 * abs(_distinctness(source.profile) - _distinctness(target.profile))
            numbers = number_likeness(source.profile.quantiles, target.profile.quantiles)
            unit = _unit_likeness(source.profile.unit, target.profile.unit)
        return Evidence(
            name=named.common,
            contained=named.contained,
            differs=named.differs,
            same_name=float(named.exact),
            opposed=float(named.opposed),
            about=self._about(source.name, target.about),
            kind=_kinds(source, target),
            only=self._only(source, target),
            values=values,
            terms=terms,
            grams=grams,
            resolved=resolved,
            numbers=numbers,
            unit=unit,
            lengths=lengths,
            distinct=distinct,
            permitted=permitted(source, target),
        )

    def _only(self, source: Traits, target: Traits) -> float:
        kind = source.kind
        if kind not in _DISTINCTIVE or kind is not (target.kind or target.told):
            return 0.0
        return 1 / max(self._source_kinds[kind], self._target_kinds[kind])

    def _resolved(self, source: Traits, target: Traits) -> float:
        """The share of the source's texts that are nearly one of the target's, the rarer the more."""
        if source.kind not in _TEXTUAL or target.kind not in _TEXTUAL:
            return 0.0
        options = list(target.values)[:_MAX_OPTIONS]
        total = found = 0.0
        for text in list(source.values)[:_MAX_RESOLVED]:
            weight = source.values[text]
            total += weight
            if text in target.values:
                found += weight * self._values[text]
                continue
            best = extractOne(text, options, scorer=ratio, score_cutoff=70)
            near = best[1] / 100 if best else 0.0
            head = text.split(":")[0].split(" ")[0]
            if head != text and len(head) > 1 and head in target.values:
                near = max(near, 0.9)
            found += weight * near * 0.9
        return found / total if total else 0.0

    def _about(self, name: Name, about: Sequence[str]) -> float:
        if not about:
            return 0.0
        best = 0.0
        for reading in name.readings[:2]:
            tokens = [part for token in reading for part in token.split("_")]
            total = sum(self._source_names[token] for token in tokens)
            said = sum(
                self._source_names[token] * max(word_similarity(token, word) for word in about)
                for token in tokens
            )
            best = max(best, said / total if total else 0.0)
        return best


def _kinds(source: Traits, target: Traits) -> float:
    """How well the kinds of two columns go together; a kind that only a name tells speaks against nothing."""
    if _is_yes_or_no(source, target):
        return 1.0
    return max(0.0, kind_fit(source.kind, target.told)) if target.told else kind_fit(source.kind, target.kind)


def kind_fit(source: Kind | None, target: Kind | None) -> float:
    """How well the kind of a source's values goes with that of a target's, from -1 to 1; 0 if one is not known."""
    if source in (None, Kind.EMPTY, Kind.BINARY) or target in (None, Kind.EMPTY, Kind.BINARY):
        return 0.0
    if source == target:
        return 1.0 if source not in _TEXTUAL else 0.5
    for group, fit in ((_NUMERIC, 0.7), (TEMPORAL, 0.6), (_ADDRESSES, 0.2), (_TEXTUAL, 0.4)):
        if source in group and target in group:
            return fit
    pair = {source, target}
    return next(fit for kinds, others, fit in _MISFITS if pair & kinds and (not others or pair & others))


def is_possible(source: Traits, target: Traits) -> bool:
    """Whether the source's values can become the field's at all: a text is no number, and a day is no moment."""
    if not target.typed or target.kind is Kind.BOOLEAN:
        return True
    if source.kind in TEMPORAL and target.kind in TEMPORAL:
        return source.kind in (target.kind, Kind.DATE_TIME)
    return kind_fit(source.kind, target.kind) >= 0


_TRUTHS = {"yes", "no", "true", "false", "y", "n", "0", "1", "0.0", "1.0"}


def _is_yes_or_no(source: Traits, target: Traits) -> bool:
    """Whether one is told in two words or as 0 and 1, and the other may be so, too."""
    if len(source.values) != 2 or not source.values.keys() <= _TRUTHS:
        return False
    return target.kind is Kind.BOOLEAN or {"yes", "no"} <= target.values.keys()


def _length_likeness(left: ColumnProfile, right: ColumnProfile) -> float:
    one, other = left.lengths[1] + 1, right.lengths[1] + 1
    return 2 * min(one, other) / max(one, other) - 1


def _unit_likeness(left: str, right: str) -> float:
    if not left or not right:
        return 0.0
    return 1.0 if left == right else _OTHER_UNIT


def _distinctness(profile: ColumnProfile) -> float:
    present = profile.rows - profile.nulls
    return profile.distinct / present if present else 0.0


def number_likeness(left: Sequence[float], right: Sequence[float]) -> float:
    """How alike two distributions are, from -1 to 1, by their quantiles; 0 if one is not known."""
    if not left or not right:
        return 0.0
    apart = sum(abs(one - other) for one, other in zip(left, right, strict=True)) / len(left)
    spread = 0.5 * (left[-1] - left[0] + right[-1] - right[0])
    inner = 0.5 * (left[-4] - left[3] + right[-4] - right[3])
    scale = max(0.5 * (spread * 0.4 + inner * 0.6), 1e-9 + 0.02 * (abs(left[16]) + abs(right[16])))
    return 1 - 2 * min(1.0, apart / scale)


def permitted(source: Traits, target: Traits) -> float:
    """How many of the source's values the target's pattern and limits permit: all are 1, none -1, unknown 0."""
    shares = []
    low, high = target.limits
    if source.profile is not None and source.profile.quantiles and (low is not None or high is not None):
        numbers = source.profile.quantiles
        inside = sum(
            (low is None or number >= low) and (high is None or number <= high) for number in numbers
        )
        shares.append(2 * inside / len(numbers) - 1)
    if source.profile is not None and source.values and target.pattern is not None:
        texts = [value for value, _ in source.profile.values[:100]]
        matched = pc.sum(pc.match_substring_regex(pa.array(texts), target.pattern)).as_py() or 0
        shares.append(2 * matched / len(texts) - 1)
    return min(shares, default=0.0)
