"""How the dates and times of a column are written: which formats read all of them, and in which order of day and month.

Each text is taken to pieces; texts of one make share a format but for the order of their parts. An order is kept if it
reads what any other reads; where two are left, both are told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lume_dagster.engine.values import ValueType
from lume_dagster.generator.reading import Reading, Value, read_date

_MONTH = (
    "january|february|march|april|june|july|august|september|october|november|december|"
    "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
)
_WEEKDAYS = (
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
    "mon", "tue", "wed", "thu", "fri", "sat", "sun",
)  # fmt: skip
_GAP = r"(?:[^\w\s:]?[ ]|[^\w\s:]|(?<=\d)(?=[a-z])|(?<=[a-z])(?=\d))"
_TEXT = re.compile(
    rf"""[\t-\r ]*
    (?:(?:(?P<weekday>{"|".join(_WEEKDAYS)})(?P<comma>[.,]?[ ]))?
       (?:(?P<whole>\d{{8}}(?=\D|$|(?:\d{{4}}|\d{{6}})$)|\d{{6}}(?=\D|$))
         |(?P<a>\d{{1,4}}|{_MONTH})(?P<ab>{_GAP})(?P<b>\d{{1,2}}|{_MONTH})(?P<bc>{_GAP})(?P<c>\d{{4}}|\d{{1,2}})))?
    (?P<between>(?:T|,?[ ]{{1,2}}|[-_:])?)
    (?:(?P<hour>\d{{1,2}})(?P<hm>[:.h]?)(?P<minute>\d{{2}})
       (?:(?P<ms>[:.m]?)(?P<second>\d{{2}})(?:(?P<sf>[.,])(?P<fraction>\d{{1,6}}))?)?
       (?:(?P<gap>[ ]?)(?P<half>[ap]m))?
       (?P<zone>[ ]?(?:Z|UTC|GMT|[+-]\d{{2}}:?\d{{2}}|[A-Z]{{3,4}}))?)?
    [\t-\r ]*""",
    re.VERBOSE | re.ASCII | re.IGNORECASE,
)
_ORDERS = {"day first": "dmy", "month first": "mdy", "year first": "ymd"}
_ZONES = {
    "z": "UTC", "utc": "UTC", "gmt": "UTC", "est": "Etc/GMT+5", "edt": "Etc/GMT+4", "pst": "Etc/GMT+8",
    "pdt": "Etc/GMT+7", "cet": "Etc/GMT-1", "cest": "Etc/GMT-2",
}  # fmt: skip
"""Zones that a column may name and that mean one offset."""
ZONELESS = "the texts name no time zone: they are read as UTC"
"""What is taken for granted about moments whose zone nothing tells."""
_EDGES = frozenset({1, 28, 29, 30, 31})
"""Days on which a series of months or quarters stands still."""


@dataclass(frozen=True)
class _Make:
    """How a text is put together, without the widths of its numbers."""

    kinds: tuple[str, ...]
    gaps: tuple[str, ...]
    clock: tuple[str, ...]
    zone: str
    weekday: tuple[str, ...]


@dataclass(frozen=True)
class _Pieces:
    text: str
    parts: tuple[str, ...]
    hour: str
    make: _Make


@dataclass(frozen=True)
class DateFinding:
    """How dates or times are written.

    Attributes:
        readings: One if that is settled, several if it is not.
        problem: Why it is not settled.
        assumes: What the texts do not say and the reading takes for granted.
    """

    readings: tuple[Reading, ...]
    problem: str = ""
    assumes: str = ""


def find_date_formats(
    texts: Sequence[str], value_type: ValueType, *, zone: str | None = None, of_past: bool = False
) -> DateFinding:
    """Find the formats of a column's dates or times.

    Args:
        texts: The distinct texts.
        value_type: DATE, TIMESTAMP, INSTANT or TIME.
        zone: For INSTANT, whose clocks the texts were read from, if they do not say so.
        of_past: Whether the dates are known to be past ones, such as births: a year of two digits then has no
            certain century.
    """
    groups: dict[_Make, list[_Pieces]] = {}
    for text in texts:
        if (pieces := _take_apart(text)) is not None:
            groups.setdefault(pieces.make, []).append(pieces)
    if not groups:
        return DateFinding((), "they are no dates or times of a known make")
    fitting = {make: group for make, group in groups.items() if not _misfit(make, value_type)}
    if not fitting:
        return DateFinding((), _misfit(next(iter(groups)), value_type))
    said = {_zone_of(make.zone) for make in fitting} if value_type is ValueType.INSTANT else {""}
    if None in said or len(said) > 1:
        return DateFinding((), "they stand in several time zones, or in one that no format can say")
    (named,) = said
    used_zone = named if named else zone
    if used_zone == "UTC":
        used_zone = None
    readings = _readings(texts, fitting, value_type, used_zone)
    two_digits = any("%y" in written for one in readings for written in one.options["formats"])
    if of_past and two_digits and any(_is_late(value) for one in readings for value in one.values.values()):
        return DateFinding((), "the years have two digits, and 00 to 68 would be of this century")
    problem = assumes = ""
    if value_type is ValueType.INSTANT and not named and zone is None:
        assumes = ZONELESS
    elif two_digits:
        assumes = "years of two digits are those from 1969 to 2068"
    if len(readings) > 1:
        problem = f"may be {' or '.join(one.means for one in readings)}"
    elif not readings and value_type is ValueType.DATE and any(make.clock for make in fitting):
        problem = "they have a time of day, and the field holds none"
    return DateFinding(readings, problem, assumes)


def _is_late(value: Value) -> bool:
    return int(getattr(value, "year", 0)) >= 2000


def _take_apart(text: str) -> _Pieces | None:
    found = _TEXT.fullmatch(text)
    if found is None or not (found["a"] or found["whole"] or found["hour"]):
        return None
    dated = bool(found["a"] or found["whole"])
    if (dated and found["hour"] and not found["between"] and not found["whole"]) or (
        (not dated or not found["hour"]) and found["between"]
    ):
        return None
    if found["hour"] and not found["hm"] and len(found["hour"]) != 2:
        return None
    parts: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    if found["whole"]:
        kinds = (f"{len(found['whole'])} digits",)
        parts = (found["whole"],)
    elif dated:
        parts = (found["a"], found["b"], found["c"])
        kinds = tuple(_kind(part) for part in parts)
        if kinds.count("b") + kinds.count("B") + kinds.count("may") > 1:
            return None
    clock = (
        (found["between"], found["hm"], "M", found["ms"] or "", "S" if found["second"] else "", found["sf"] or "",
         found["gap"] or "", "p" if found["half"] else "")
        if found["hour"]
        else ()
    )  # fmt: skip
    make = _Make(kinds, (found["ab"] or "", found["bc"] or ""), clock, found["zone"] or "", _weekday(found))
    return _Pieces(text, parts, found["hour"] or "", make)


def _weekday(found: re.Match[str]) -> tuple[str, ...]:
    """What stands before the date, if it is a weekday: that one and its six sisters, written alike."""
    day = found["weekday"]
    if not day:
        return ()
    spelled = str.upper if day.isupper() else str.lower if day.islower() else str.capitalize
    names = _WEEKDAYS[7:] if len(day) == 3 else _WEEKDAYS[:7]
    return tuple(spelled(name) + found["comma"] for name in names)


def _kind(part: str) -> str:
    if part.isdigit():
        return "4" if len(part) == 4 else "3" if len(part) == 3 else "2"
    return "may" if part.lower() == "may" else "b" if len(part) == 3 else "B"


def _misfit(make: _Make, value_type: ValueType) -> str:
    """Why texts of a make cannot be of a type; empty if they can."""
    if value_type is ValueType.TIME:
        return "they have a date, and the field is a time of day" if make.kinds or make.zone else ""
    if not make.kinds:
        return "they have no date"
    if value_type is ValueType.DATE:
        return (
            "" if not make.clock or not make.zone or _zone_of(make.zone) == "UTC" else "they have a time zone"
        )
    if not make.clock:
        return "they have no time of day"
    if value_type is ValueType.TIMESTAMP and make.zone:
        return "they name a time zone, and the field holds none"
    return ""


def _zone_of(zone: str) -> str | None:
    """The IANA name of what stands behind a time; empty for nothing, None for what means no one offset."""
    name = zone.strip().lower()
    if not name or name in _ZONES:
        return _ZONES.get(name, "")
    offset = re.fullmatch(r"([+-])(\d\d):?00", name)
    if offset is None or int(offset[2]) > 12:
        return None
    hours = int(offset[2])
    return "UTC" if not hours else f"Etc/GMT{'-' if offset[1] == '+' else '+'}{hours}"


def _readings(
    texts: Sequence[str], groups: dict[_Make, list[_Pieces]], value_type: ValueType, zone: str | None
) -> tuple[Reading, ...]:
    """One reading for each order of day, month and year that is left."""
    left: dict[_Make, dict[str, tuple[str, ...]]] = {}
    for make, group in groups.items():
        if orders := _orders_left(make, group, value_type, zone):
            left[make] = orders
    open_orders = sorted({order for orders in left.values() if len(orders) > 1 for order in orders})
    # What is written alike in its date goes by the order that another of its make has settled.
    for make, orders in left.items():
        if len(orders) > 1:
            akin = {
                order
                for other, settled in left.items()
                if other.gaps == make.gaps and len(settled) == 1
                for order in settled
            } & orders.keys()
            if len(akin) == 1:
                left[make] = {order: formats for order, formats in orders.items() if order in akin}
    if not any(len(orders) > 1 for orders in left.values()):
        open_orders = [""]
    found: list[Reading] = []
    for order in sorted(open_orders, key=list(_ORDERS).index) if open_orders != [""] else open_orders:
        formats: list[str] = []
        for make in sorted(
            left, key=lambda make: (-len(groups[make]), make.kinds, make.gaps, make.clock, make.zone)
        ):
            orders = left[make]
            formats += orders.get(order) or next(iter(orders.values()))
        formats = list(dict.fromkeys(formats))
        values = _read_all(texts, tuple(formats), value_type, zone)
        options = {"formats": formats} | ({"time_zone": zone} if zone else {})
        reading = Reading(_OPERATIONS[value_type], options, values, order or "as written")
        if values and all(reading.options != other.options for other in found):
            found.append(reading)
    return tuple(found)


_OPERATIONS = {
    ValueType.DATE: "date",
    ValueType.TIMESTAMP: "datetime",
    ValueType.INSTANT: "datetime",
    ValueType.TIME: "time",
}


def _read_all(
    texts: Iterable[str], formats: tuple[str, ...], value_type: ValueType, zone: str | None
) -> dict[str, Value]:
    found = {text: read_date(text, formats, value_type, zone) for text in texts}
    return {text: value for text, value in found.items() if value is not None}


def _orders_left(
    make: _Make, group: list[_Pieces], value_type: ValueType, zone: str | None
) -> dict[str, tuple[str, ...]]:
    """The orders that no other order beats, each with its formats."""
    texts = [pieces.text for pieces in group]
    clocks = _clock_formats(make, group, midnight_only=value_type is ValueType.DATE)
    if clocks is None:
        return {}
    formats = {
        order: tuple(
            day + date + clock for clock in clocks for date in dates for day in make.weekday or ("",)
        )
        for order, dates in _date_formats(make, group)
    }
    read = {
        order: frozenset(_read_all(texts, written, value_type, zone)) for order, written in formats.items()
    }
    return {
        order: formats[order]
        for order, taken in read.items()
        if taken and not any(taken < other for other in read.values())
    }


def _date_formats(make: _Make, group: list[_Pieces]) -> list[tuple[str, tuple[str, ...]]]:
    """Each order in which the parts may stand, with the formats that say so."""
    if not make.kinds:
        return [("", ("",))]
    if make.kinds[0].endswith("digits"):
        return _whole_formats(make.kinds[0], [pieces.parts[0] for pieces in group])
    first, second, third = make.kinds
    columns = list(zip(*(pieces.parts for pieces in group), strict=True))
    if "3" in make.kinds:
        return []
    if first in ("b", "B", "may"):
        orders = ["mdy"]
    elif second in ("b", "B", "may"):
        orders = ["ymd"] if first == "4" else ["dmy"]
    elif first == "4":
        orders = ["ymd"]
    elif third == "4":
        orders = ["dmy", "mdy"]
    else:
        orders = _orders_of_short_years(make, columns)
    names = {letters: name for name, letters in _ORDERS.items()}
    found: list[tuple[str, tuple[str, ...]]] = []
    for order in orders:
        directives = [_directive(*part) for part in zip(order, make.kinds, columns, strict=True)]
        gaps = [_escaped(gap) for gap in make.gaps]
        found.append((names[order], (f"{directives[0]}{gaps[0]}{directives[1]}{gaps[1]}{directives[2]}",)))
    return found


def _orders_of_short_years(make: _Make, columns: list[tuple[str, ...]]) -> list[str]:
    orders = ["dmy", "mdy"]
    if make.gaps[0] == ".":
        return orders
    if _stands_still(columns[0], columns[2]):
        return ["ymd"]
    return orders if _stands_still(columns[2], columns[0]) else [*orders, "ymd"]


def _stands_still(year: Sequence[str], day: Sequence[str]) -> bool:
    """Whether one part cannot be the day, as it hardly changes over texts in which the other does."""
    return (
        len(year) >= 5
        and len(set(year)) <= 2
        and not {int(part) for part in year} & _EDGES
        and len(set(day)) >= 4
    )


def _directive(part: str, kind: str, column: Sequence[str]) -> str:
    if part == "y":
        return "%Y" if kind == "4" else "%y"
    if kind in ("b", "B", "may"):
        return "%B" if kind == "B" else "%b"
    return f"%{part}" if _padded(column) else f"%-{part}"


def _padded(column: Sequence[str]) -> bool:
    """Whether numbers have a leading zero where they are below ten; no if none is."""
    return any(part.startswith("0") for part in column) and all(len(part) == 2 for part in column)


def _whole_formats(kind: str, parts: list[str]) -> list[tuple[str, tuple[str, ...]]]:
    """The orders of dates without gaps: their years are between 1900 and 2099, else it is no such order."""
    year = "%Y" if kind == "8 digits" else "%y"
    found: list[tuple[str, tuple[str, ...]]] = []
    for name, letters in _ORDERS.items():
        at = letters.index("y") * 2
        if kind == "8 digits" and not all(1900 <= int(part[at : at + 4]) < 2100 for part in parts):
            continue
        found.append((name, ("".join(year if letter == "y" else f"%{letter}" for letter in letters),)))
    return found


def _clock_formats(make: _Make, group: list[_Pieces], *, midnight_only: bool) -> tuple[str, ...] | None:
    """The formats of what stands behind the date; None if it is a time that a date cannot have."""
    if not make.clock:
        return ("",)
    between, hm, _, ms, second, sf, gap, half = make.clock
    if midnight_only:
        tails = {_tail(pieces) for pieces in group}
        midnight = re.compile(r"\D*(?:0?0|12(?=.*am))\D*00(?:\D*00(?:[.,]0+)?)?\D*", re.IGNORECASE)
        if not all(midnight.fullmatch(re.sub(r"[+-]00:?00$", "", tail)) for tail in tails):
            return None
        return tuple(_escaped(tail) for tail in sorted(tails))
    hours = [pieces.hour for pieces in group]
    letter = "I" if half else "H"
    hour = f"%{letter}" if not hm or _padded(hours) else f"%-{letter}"
    text = f"{_escaped(between)}{hour}{_escaped(hm)}%M"
    if second:
        text += f"{_escaped(ms)}%S"
    if sf:
        text += f"{sf}%f"
    return (f"{text}{gap}{'%p' if half else ''}{_escaped(make.zone)}",)


def _tail(pieces: _Pieces) -> str:
    """What stands behind the date."""
    text = pieces.text.strip("\t\n\v\f\r ")
    make = pieces.make
    dated = len("".join((*pieces.parts, *make.gaps)))
    day = next((day for day in make.weekday if text.startswith(day)), "")
    return text[len(day) + dated :]


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
