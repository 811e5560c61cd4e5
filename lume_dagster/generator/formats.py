"""What the texts of a source column are, as a mapper entry for the field that is to take them.

Dates, times, numbers and words for true and false are written in many ways. A column is settled if one way reads its
texts and no other reads them otherwise; if two are left, both are told, and a person decides: nothing is guessed in
silence. What a reading takes is what the engine takes, to the same value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from lume_dagster.engine.values import ValueType
from lume_dagster.generator.date_formats import find_date_formats
from lume_dagster.generator.number_styles import find_number_style
from lume_dagster.generator.reading import Reading, cast, read_clock, read_word
from lume_dagster.generator.text_key import words

ENOUGH = 0.8
"""The share of the distinct texts that a reading must take; the rest are rejects."""

_ABSENT = frozenset({
    "n/a", "na", "n.a.", "none", "null", "nil", "nan", "tbd", "tba", "tbc", "unknown", "missing", "undefined",
    "#n/a", "#value!", "-", "--", "---", ".", "..", "?", "??",
})  # fmt: skip
_NUMBERS = frozenset({ValueType.INTEGER, ValueType.NUMBER})
_PAST = frozenset({
    "birth", "born", "birthday", "birthdate", "dob", "founded", "established",
})  # fmt: skip
_PERCENT = frozenset({
    "percent", "percentage", "pct", "perc", "prozent", "%",
})  # fmt: skip
_BLANKS = " \t\n\v\f\r"


@dataclass(frozen=True)
class ColumnFormat:
    """What a column's texts are.

    Attributes:
        readings: The ways to read it; one if that is settled, the likelier first if not.
        problem: Why it is not settled; empty if it is.
        assumes: What the texts do not say and the reading takes for granted; to be shown to a reviewer.
        unit: The unit that stands behind each number, if one does.
        absent: Texts that look like the absence of a value; they belong into `null_values`.
        nonconforming: Texts that no reading takes; they would be rejects.
    """

    readings: tuple[Reading, ...]
    problem: str
    assumes: str = ""
    unit: str = ""
    absent: tuple[str, ...] = ()
    nonconforming: tuple[str, ...] = ()

    @property
    def settled(self) -> Reading | None:
        """The one reading, if there is no doubt about it."""
        return self.readings[0] if len(self.readings) == 1 and not self.problem else None


def find_format(
    texts: Iterable[str | None],
    value_type: ValueType,
    *,
    name: str = "",
    description: str = "",
    time_zone: str | None = None,
) -> ColumnFormat:
    """Find how a column is written.

    Args:
        texts: The texts of the sample; absent and empty ones are passed over.
        value_type: What the field is to hold.
        name: The field's name, or the column's and the field's.
        description: What the schema says about the field.
        time_zone: For INSTANT, the IANA name of the zone whose clocks the texts were read from.

    Returns:
        What was found; with a problem if it is not settled.
    """
    given = tuple(dict.fromkeys(text for text in texts if text is not None and text.strip(_BLANKS)))
    absent = tuple(text for text in given if text.strip(_BLANKS).lower() in _ABSENT)
    real = tuple(text for text in given if text not in absent)
    if not real:
        return ColumnFormat((), "there is no value to judge by", absent=absent)
    said = frozenset(words(re.sub(r"[_-]|(?<=[a-z])(?=[A-Z])", " ", f"{name} {description}")))
    found = _find(real, value_type, said, time_zone)
    taken = {text for one in found.readings for text in one.values}
    nonconforming = tuple(text for text in real if text not in taken)
    readings, problem = found.readings, found.problem
    if len(taken) < ENOUGH * len(real):
        readings = ()
        problem = problem or f"too many texts are no {value_type.value}, such as {nonconforming[0]!r}"
    return ColumnFormat(readings, problem, found.assumes, found.unit, absent, nonconforming)


def _find(
    texts: tuple[str, ...], value_type: ValueType, said: frozenset[str], time_zone: str | None
) -> ColumnFormat:
    if value_type in _NUMBERS:
        numbers = find_number_style(texts, value_type, in_percent=bool(said & _PERCENT))
        return ColumnFormat(numbers.readings, numbers.problem, unit=numbers.unit)
    plain = Reading(
        "extract",
        {},
        {text: value for text in texts if (value := cast(text, value_type)) is not None},
        "as it is",
    )
    if len(plain.values) == len(texts) or value_type is ValueType.TEXT:
        return ColumnFormat((plain,), "")
    if value_type is ValueType.BOOLEAN:
        return _find_words(texts)
    return _find_dates(texts, plain, value_type, time_zone, of_past=bool(said & _PAST))


def _find_dates(
    texts: tuple[str, ...], plain: Reading, value_type: ValueType, time_zone: str | None, *, of_past: bool
) -> ColumnFormat:
    if value_type is ValueType.TIME and (clock := _clock_readings(texts)) is not None:
        return ColumnFormat((clock,), "")
    dates = find_date_formats(texts, value_type, zone=time_zone, of_past=of_past)
    best = max((len(one.values) for one in dates.readings), default=0)
    if len(plain.values) < max(best, 1):
        return ColumnFormat(dates.readings, dates.problem, dates.assumes)
    if {text for one in dates.readings for text in one.values} <= plain.values.keys():
        return ColumnFormat((plain,), "")
    problem = "some texts are as ISO 8601 has them and some are not"
    return ColumnFormat((plain, *dates.readings), problem)


def _clock_readings(texts: tuple[str, ...]) -> Reading | None:
    """Clock readings such as 517, if most are long enough to be some."""
    values = {text: value for text in texts if text.isdigit() and (value := read_clock(text)) is not None}
    long = sum(len(text) >= 3 for text in values)
    if len(values) < len(texts) or 2 * long <= len(texts):
        return None
    return Reading("time", {"hhmm": True}, values, "hours and minutes")


_FAMILIES = (
    ("true", "false"), ("t", "f"), ("yes", "no"), ("y", "n"), ("1", "0"), ("on", "off"), ("active", "inactive"),
    ("enabled", "disabled"), ("checked", "unchecked"), ("ja", "nein"), ("j", "n"), ("oui", "non"), ("sí", "no"),
    ("si", "no"), ("sim", "não"), ("x", "-"), ("✓", "✗"), ("✔", "✘"), ("1.0", "0.0"), ("positive", "negative"),
)  # fmt: skip
"""Words for true and false that go together."""


def _find_words(texts: tuple[str, ...]) -> ColumnFormat:
    """True and false in words."""
    there = {text.strip(_BLANKS).lower() for text in texts}
    pairs = [pair for pair in _FAMILIES if there & set(pair)]
    # `no` alone speaks for each language that says so: those that another word speaks for go first.
    spoken = [pair for pair in pairs if pair[0] in there] or pairs[:1]
    covered = {word for pair in spoken for word in pair}
    spoken += [pair for pair in pairs if pair not in spoken and not set(pair) & there <= covered]
    true = tuple(dict.fromkeys(pair[0] for pair in spoken))
    false = tuple(dict.fromkeys(pair[1] for pair in spoken))
    if not spoken:
        return ColumnFormat((), "they are no words for true and false")
    values = {text: value for text in texts if (value := read_word(text, true, false)) is not None}
    if len(values) < len(texts):
        odd = next(text for text in texts if text not in values)
        return ColumnFormat((), f"{odd!r} is no word for true or false")
    return ColumnFormat((Reading("boolean", {"true": list(true), "false": list(false)}, values),), "")


__all__ = ["ColumnFormat", "Reading", "find_format"]
