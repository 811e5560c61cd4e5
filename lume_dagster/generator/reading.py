"""What a text of a source column is by a mapper entry: the engine's rules, value by value in Python.

The engine's own patterns are used, and only the last step, from what they capture to a value, is written anew; a
property test holds it against the engine.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timezone
from typing import Any
from zoneinfo import ZoneInfo

from lume_dagster.engine.values import CAST_RULES, NumberStyle, ValueType, date_format, is_value

Value = str | int | float | bool | date | datetime | time

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_BLANKS = " \t\n\v\f\r"


@dataclass(frozen=True)
class Reading:
    """One way to read a column.

    Attributes:
        operation: The mapper's operation, `extract` for a text that needs none.
        options: What stands beside `from` in it.
        values: What it makes of the sample's texts; those that are missing do not conform.
        means: What it says, for people: `day first`.
    """

    operation: str
    options: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Value] = field(default_factory=dict)
    means: str = ""

    def entry(self, column: str) -> dict[str, Any]:
        """The mapper entry for a column, as a flow file has it.

        Args:
            column: The source column's name.
        """
        if self.operation == "extract":
            return {"extract": column}
        source = "hhmm" if self.options == {"hhmm": True} else "from"
        rest = {} if source == "hhmm" else self.options
        return {self.operation: {source: column, **rest}}


def telling_text(readings: Sequence[Reading]) -> str:
    """A text that readings of one column take for different values; if there is one, all of them take it.

    Args:
        readings: At least one; those that take nothing alike differ in each text.
    """
    texts = dict.fromkeys(text for one in readings for text in one.values)
    differing = [text for text in texts if len({one.values.get(text) for one in readings}) > 1]
    shared = (text for text in differing if all(text in one.values for one in readings))
    return next(shared, (differing or [*texts])[0])


def cast(text: str, value_type: ValueType) -> Value | None:
    """The value of a plain text by the table of cast rules; None if it is none.

    Args:
        text: A text that is there.
        value_type: What it is to be.
    """
    if value_type is ValueType.TEXT:
        return text
    match = re.fullmatch(CAST_RULES[value_type].pattern, text)
    if match is None or not is_value(text, value_type):
        return None
    captured = match[1]
    if value_type is ValueType.INTEGER:
        return int(captured.lstrip("+-0") or "0") * (-1 if captured.startswith("-") else 1)
    if value_type is ValueType.NUMBER:
        return float(captured)
    if value_type is ValueType.BOOLEAN:
        return captured.lower() in ("true", "1")
    return _moment(captured, value_type)


_ISO = re.compile(
    r"(?:(?P<year>\d{1,4})-(?P<month>\w+)-(?P<day>\d{1,2}))?[T ]?"
    r"(?:(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<fraction>\d+))?)?)?"
    r"(?: (?P<half>[AaPp])[Mm])?(?P<offset>Z|[+-]\d{2}:\d{2})?",
    re.ASCII,
)


def _moment(text: str, value_type: ValueType) -> Value | None:
    """A date or time of a text in the order of ISO 8601; None if there is no such day."""
    part = _ISO.fullmatch(text)
    if part is None:
        return None
    hour = int(part["hour"] or 0)
    if part["half"]:
        hour = hour % 12 + (12 if part["half"] in "pP" else 0)
    clock = (
        hour,
        int(part["minute"] or 0),
        int(part["second"] or 0),
        int((part["fraction"] or "")[:6].ljust(6, "0")),
    )
    if value_type is ValueType.TIME:
        return time(*clock)
    year = int(part["year"])
    if len(part["year"]) == 2:
        year += 1900 if year >= 69 else 2000
    month = int(part["month"]) if part["month"].isdigit() else _MONTHS.index(part["month"][:3].lower()) + 1
    try:
        moment = datetime(year, month, int(part["day"]), *clock)  # noqa: DTZ001 - a clock on the wall
    except ValueError:
        return None
    if value_type is ValueType.INSTANT:
        offset = "+00:00" if part["offset"] in (None, "Z") else part["offset"]
        return datetime.fromisoformat(moment.isoformat() + offset).astimezone(timezone.utc)
    return moment.date() if value_type is ValueType.DATE else moment


def read_date(
    text: str, formats: tuple[str, ...], value_type: ValueType, zone: str | None = None
) -> Value | None:
    """The date or time of a text by the first format that fits; None if none does.

    Args:
        text: A text that is there.
        formats: In the engine's notation.
        value_type: DATE, TIMESTAMP, INSTANT or TIME.
        zone: For INSTANT, whose clocks the text was read from; UTC without it.
    """
    wanted = ValueType.TIMESTAMP if zone and value_type is ValueType.INSTANT else value_type
    for written in formats:
        form = date_format(written, wanted)
        match = re.compile(form.pattern, re.ASCII).fullmatch(text)
        if match is None:
            continue
        value = _moment(match.expand(form.iso), wanted)
        if value is not None:
            return _instant(value, zone) if zone and isinstance(value, datetime) else value
    return None


def _instant(moment: datetime, zone: str) -> datetime | None:
    """The earlier of the instants at which the clocks of a zone show a moment; None if they skip it."""
    try:
        instant = moment.replace(tzinfo=ZoneInfo(zone)).astimezone(timezone.utc)
        shown = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    except OverflowError:
        return None
    return instant if shown == moment else None


def number_reader(style: NumberStyle, value_type: ValueType) -> Callable[[str], Value | None]:
    """What a style of numbers makes of a text; None if it is no such number.

    Args:
        style: How numbers are written.
        value_type: NUMBER or INTEGER.
    """
    pattern = re.compile(style.pattern)
    signs = sorted(style.currencies, key=len, reverse=True)
    idle = re.compile(f"[^-+(%0-9{style.decimal}]")
    as_number = value_type is not ValueType.INTEGER or style.percent

    def read(text: str) -> Value | None:
        if not pattern.fullmatch(text):
            return None
        plain = text
        for sign in signs:
            plain = plain.replace(sign, "")
        plain = idle.sub("", plain)
        for old, new in ((style.decimal, "."), ("(", "-"), ("%", "e-2")):
            plain = plain.replace(old, new)
        value = cast(plain, ValueType.NUMBER if as_number else ValueType.INTEGER)
        if value_type is ValueType.INTEGER and isinstance(value, float):
            whole = math.isfinite(value) and value.is_integer() and -(2.0**63) <= value < 2.0**63
            return int(value) if whole else None
        return value

    return read


def read_word(text: str, true: tuple[str, ...], false: tuple[str, ...]) -> bool | None:
    """True or false by word lists, in any case; None for another word."""
    word = text.strip(_BLANKS).lower()
    if word in {known.lower() for known in true}:
        return True
    return False if word in {known.lower() for known in false} else None


def read_clock(text: str) -> time | None:
    """The time of a clock reading such as 517; 2400 is 00:00. None if it is none."""
    reading = cast(text, ValueType.INTEGER)
    if not isinstance(reading, int) or not 0 <= reading <= 2400 or reading % 100 >= 60:
        return None
    return time(reading // 100 % 24, reading % 100)
