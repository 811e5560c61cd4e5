"""The types of a value, and the one table of rules by which text becomes typed.

Every engine has its own idea of what `12.5`, `1e3` or `2013` mean as an integer or a date, so the rules are
ours: a text is first matched as a whole by the pattern of its type, and only what the pattern captured goes to
the database's cast. Around a value, ASCII blanks (space, tab, line breaks, form feeds) are ignored; digits are
ASCII digits. What does not match, or lies outside the type's range, is an error, never a null or a rounded value.

docs/flow-versions.md shows for each type what is accepted and what is not; the tests take their cases from there.
A text that is no value is an error of the type `type`, for dates and times of the type `format`.
A number is a 64-bit float; one too small for it becomes 0, one too large is refused.
A date-time is kept as an instant in UTC; an offset reaches to 15:59, and in the years 0001 and 9999 only `Z` is
taken, so that the instant stays within these years. Decimals of a second beyond the sixth must be zeros.
A typed Parquet value goes through its canonical text (see `parquet_source`) and so meets the same rules.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from functools import lru_cache

from lume_dagster.engine.errors import ErrorType

BLANKS = r"[\t-\r ]*"

_YEAR = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
_INNER_YEAR = "(?:[1-8][0-9]{3}|9[0-8][0-9]{2}|99[0-8][0-9]|999[0-8]|0[1-9][0-9]{2}|00[1-9][0-9]|000[2-9])"
_DAY = "-[0-9]{2}-[0-9]{2}"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6}0*)?)?"
_OFFSET = "(?:Z|[+-](?:0[0-9]|1[0-5]):[0-5][0-9])"


class ValueType(str, Enum):
    """The type of a value inside the engine."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    INSTANT = "date-time"
    TIMESTAMP = "date-time-local"
    TIME = "time-local"
    LIST = "list"


@dataclass(frozen=True)
class CastRule:
    """How a text becomes a value of one type.

    Attributes:
        pattern: Must match the whole text; its first group is what is cast. Runs alike in RE2 and in Python.
        error: The type of error of a text that is no such value.
        expected: What was expected, for messages: "an integer".
    """

    pattern: str
    error: ErrorType
    expected: str


def _whole(captured: str) -> str:
    return rf"^{BLANKS}({captured}){BLANKS}$"


CAST_RULES: dict[ValueType, CastRule] = {
    ValueType.INTEGER: CastRule(
        rf"^{BLANKS}([+-]?[0-9]+)(?:\.0*)?{BLANKS}$", ErrorType.TYPE, "an integer of at most 64 bits"
    ),
    ValueType.NUMBER: CastRule(
        _whole(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"), ErrorType.TYPE, "a finite number"
    ),
    ValueType.BOOLEAN: CastRule(
        _whole("[tT][rR][uU][eE]|[fF][aA][lL][sS][eE]|1|0"), ErrorType.TYPE, "true, false, 1 or 0"
    ),
    ValueType.DATE: CastRule(_whole(_YEAR + _DAY), ErrorType.FORMAT, "a date like 2013-02-03"),
    ValueType.INSTANT: CastRule(
        _whole(f"{_INNER_YEAR}{_DAY}[T ]{_CLOCK}{_OFFSET}|{_YEAR}{_DAY}[T ]{_CLOCK}Z"),
        ErrorType.FORMAT,
        "a date and time with an offset from UTC, like 2013-02-03T10:00:00Z",
    ),
    ValueType.TIMESTAMP: CastRule(
        _whole(f"{_YEAR}{_DAY}[T ]{_CLOCK}"),
        ErrorType.FORMAT,
        "a date and time without an offset, like 2013-02-03T10:00:00",
    ),
    ValueType.TIME: CastRule(_whole(_CLOCK), ErrorType.FORMAT, "a time of day like 10:00:00"),
}
"""One rule a type; text needs none."""

_CLOCK_SECONDS = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
_OFFSET_OF_DAY = "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
_UNRESERVED = "A-Za-z0-9._~!$&'()*+,;=-"
_ESCAPED = "%[0-9A-Fa-f]{2}"
_PCHAR = f"(?:[:@{_UNRESERVED}]|{_ESCAPED})"
_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"

FORMAT_PATTERNS: dict[str, str] = {
    "email": (
        r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
        r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$"
    ),
    "time": rf"^{_CLOCK_SECONDS}{_OFFSET_OF_DAY}$",
    "uri": (
        r"^[A-Za-z][A-Za-z0-9+.-]*:"
        rf"(?://(?:(?:[:{_UNRESERVED}]|{_ESCAPED})*@)?(?:\[[0-9A-Fa-f:.]+\]|(?:[{_UNRESERVED}]|{_ESCAPED})*)(?::[0-9]*)?"
        rf"(?:/{_PCHAR}*)*|/?(?:{_PCHAR}+(?:/{_PCHAR}*)*)?)"
        rf"(?:\?(?:{_PCHAR}|[/?])*)?(?:#(?:{_PCHAR}|[/?])*)?$"
    ),
    "ipv4": rf"^{_BYTE}(?:\.{_BYTE}){{3}}$",
    "uuid": r"^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$",
}
"""Formats that stay text and are checked by a pattern."""


_JSON_BLANKS = r"[ \t\r\n]*"
_SURROGATES = r"[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_JSON_ESCAPE = (
    rf'(?:["\\/bfnrt]|u(?:[0-9a-cA-Ce-fE-F][0-9a-fA-F]{{3}}|[dD][0-7][0-9a-fA-F]{{2}}|{_SURROGATES}))'
)
JSON_SCALAR = (
    rf'"(?:[^"\\\x00-\x1f]|\\{_JSON_ESCAPE})*"'
    r"|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null"
)
"""A JSON value that is neither object nor array; a text in it is valid Unicode."""
JSON_LIST = (
    rf"^{_JSON_BLANKS}\[{_JSON_BLANKS}(?:(?:{JSON_SCALAR}){_JSON_BLANKS}"
    rf"(?:,{_JSON_BLANKS}(?:{JSON_SCALAR}){_JSON_BLANKS})*)?\]{_JSON_BLANKS}$"
)
"""A JSON array of such values."""

GROUPING: dict[str, str] = {",": ",", ".": ".", " ": " \u00a0\u202f", "'": "'\u2019", "_": "_"}
"""What may stand between groups of three digits, and the characters that each of them covers."""
_GAP = "[ \u00a0\u202f]?"


@dataclass(frozen=True)
class NumberStyle:
    """How numbers are written.

    Attributes:
        decimal: Before the decimals, `.` or `,`.
        thousands: Between groups of three digits, one of GROUPING; none if empty.
        percent: Whether a % may follow, which divides by a hundred.
        currencies: Signs or words that may stand before or after the amount.
        accounting: Whether parentheses around an amount make it negative.
    """

    decimal: str
    thousands: str
    percent: bool
    currencies: tuple[str, ...]
    accounting: bool

    @property
    def pattern(self) -> str:
        """Matches the whole of a text that is such a number."""
        point = re.escape(self.decimal)
        whole = "[0-9]+"
        if self.thousands:
            whole = f"(?:[0-9]{{1,3}}(?:[{GROUPING[self.thousands]}][0-9]{{3}})+|[0-9]+)"
        amount = f"(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)" + (f"(?:{_GAP}%)?" if self.percent else "")
        before = after = ""
        if self.currencies:
            signs = "|".join(re.escape(sign) for sign in sorted(self.currencies, key=len, reverse=True))
            before, after = f"(?:(?:{signs}){_GAP})?", f"{_GAP}(?:{signs})"
        forms = [f"(?:[+-]{_GAP})?{before}{amount}"]
        if self.currencies:
            forms += [f"{before}[+-]?{amount}", f"(?:[+-]{_GAP})?{amount}{after}"]
        if self.accounting:
            forms.append(f"\\({before}{amount}\\)")
            if self.currencies:
                forms += [f"{before}\\({amount}\\)", f"\\({amount}{after}\\)", f"\\({amount}\\){after}"]
        return f"^{BLANKS}(?:{'|'.join(forms)}){BLANKS}$"


class FormatProblem(ValueError):  # noqa: N818 - it is no error of its own, only the message for one
    """A date format is not usable; the message says why."""


_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DIRECTIVES: dict[str, tuple[str, str]] = {
    "%Y": ("year", _YEAR),
    "%m": ("month", "[0-9]{2}"),
    "%-m": ("month", "[0-9]{1,2}"),
    "%d": ("day", "[0-9]{2}"),
    "%-d": ("day", "[0-9]{1,2}"),
    "%H": ("hour", "[01][0-9]|2[0-3]"),
    "%-H": ("hour", "[01]?[0-9]|2[0-3]"),
    "%M": ("minute", "[0-5][0-9]"),
    "%S": ("second", "[0-5][0-9]"),
    "%f": ("fraction", "[0-9]{1,6}"),
    "%y": ("year", "[0-9]{2}"),
    "%b": ("month", f"(?i:{'|'.join(name[:3] for name in _MONTHS)})"),
    "%B": ("month", f"(?i:{'|'.join(_MONTHS)})"),
    "%I": ("hour", "0[1-9]|1[0-2]"),
    "%-I": ("hour", "0?[1-9]|1[0-2]"),
    "%p": ("half", "[AaPp][Mm]"),
}
_CLOSED_DIRECTIVES = ("%y", "%b", "%B", "%I", "%-I", "%p")
"""Those whose text is no part of an ISO text, so that the database reads them by a format in its turn."""
_ISO_DIRECTIVES = {
    "year": "%Y", "month": "%m", "day": "%d", "hour": "%H", "minute": "%M", "second": "%S", "fraction": "%f",
}  # fmt: skip
_FORMAT_PIECE = re.compile(r"%-?.|[^%]|%", re.DOTALL)


@dataclass(frozen=True)
class DateFormat:
    r"""A date format in strptime's notation, as a pattern and the order of its parts.

    Attributes:
        pattern: Matches the whole text, with a group a part.
        iso: What to put the groups together to, as a replacement text: `\3-\1-\2`.
        strptime: The format of the text that is put together, where it is not ISO 8601.
    """

    pattern: str
    iso: str
    strptime: str | None = None


@lru_cache(maxsize=1024)
def date_format(text: str, value_type: ValueType) -> DateFormat:
    """Read a format such as `%d/%m/%Y`.

    Args:
        text: The format. Directives: %Y %m %d %H %M %S %f, with %-m %-d %-H for one or two digits, and %%.
            All have a fixed width otherwise, and letters and blanks stand for themselves. Beside these %y (69 to
            99 are of 1900, 00 to 68 of 2000), %b and %B (English months, short and whole, in any case), and %I or
            %-I (1 to 12) with %p (AM or PM, in any case).
        value_type: DATE, TIMESTAMP, INSTANT (read as UTC) or TIME; says which parts are needed.

    Raises:
        FormatProblem: A directive is unknown, comes twice, is missing or does not belong there.
    """
    pattern, groups, closed = [], dict[str, int](), dict[str, str]()
    for piece in _FORMAT_PIECE.findall(text):
        if piece == "%%":
            pattern.append("%")
        elif piece in _DIRECTIVES:
            part, digits = _DIRECTIVES[piece]
            if part in groups:
                raise FormatProblem(f"{piece} gives the {part} a second time")
            groups[part] = len(groups) + 1
            pattern.append(f"({digits})")
            if piece in _CLOSED_DIRECTIVES:
                closed[part] = piece.replace("-", "")
        elif piece.startswith("%"):
            raise FormatProblem(f"{piece} is not known here; use {' '.join(_DIRECTIVES)} or %%")
        else:
            pattern.append(re.escape(piece))
    date, clock = _check_parts(groups, closed, value_type)
    iso = "-".join(f"\\{groups[part]}" for part in date)
    if clock:
        iso += (" " if date else "") + ":".join(
            f"\\{groups[part]}" for part in ["hour", "minute", "second"] if part in groups
        )
    if "fraction" in groups:
        iso += f".\\{groups['fraction']}"
    if closed:
        directives = {**_ISO_DIRECTIVES, **closed}
        named = {str(group): directives[part] for part, group in groups.items()}
        iso += f" \\{groups['half']}" if "half" in groups else ""
        strptime = re.sub(r"\\([0-9])", lambda group: named[group[1]], iso)
    else:
        strptime = None
    return DateFormat(f"^{BLANKS}{''.join(pattern)}{BLANKS}$", iso, strptime)


def _check_parts(
    groups: Mapping[str, int], closed: Mapping[str, str], value_type: ValueType
) -> tuple[list[str], list[str]]:
    """The parts of a date and of a time that a type needs, if a format has just those."""
    date = ["year", "month", "day"] if value_type is not ValueType.TIME else []
    clock = ["hour", "minute"] if value_type is not ValueType.DATE else []
    optional = ["second", "fraction", "half"] if clock else []
    if missing := [part for part in date + clock if part not in groups]:
        raise FormatProblem(f"the format says nothing of the {' and the '.join(missing)}")
    if surplus := [part for part in groups if part not in date + clock + optional]:
        raise FormatProblem(f"a {value_type.value} has no {' and no '.join(surplus)}")
    if "fraction" in groups and "second" not in groups:
        raise FormatProblem("%f needs %S")
    if ("half" in groups) != ("hour" in closed):
        raise FormatProblem("%I needs %p, and %p needs %I")
    return date, clock


def is_value(text: str, value_type: ValueType) -> bool:
    """Whether a text is a value of a type by the table of cast rules; for the few texts of a flow file."""
    if value_type is ValueType.TEXT:
        return True
    match = re.fullmatch(CAST_RULES[value_type].pattern, text)
    if match is None:
        return False
    captured = match[1]
    if value_type is ValueType.INTEGER:
        digits = captured.lstrip("+-0")
        size = int(digits) if 0 < len(digits) <= 19 else 0
        return len(digits) <= 19 and size < 2**63 + captured.startswith("-")
    if value_type is ValueType.NUMBER:
        return math.isfinite(float(captured))
    if value_type in (ValueType.DATE, ValueType.INSTANT, ValueType.TIMESTAMP):
        try:
            date.fromisoformat(captured[:10])
        except ValueError:
            return False
    return True
