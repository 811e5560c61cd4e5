"""A profile of a sample: what is in each of its columns, from a bounded number of rows."""

from __future__ import annotations

import csv
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lume_dagster.engine.stage import StagedBatch
from lume_dagster.engine.values import CAST_RULES, FORMAT_PATTERNS, ValueType

MAX_ROWS = 2_000
"""Rows of a sample that are looked at, spread over all of it."""

_MAX_CELLS = 1_000_000
_MIN_ROWS = 50
_MAX_TEXT = 400
_MAX_VALUES = 500
_MAX_SHAPES = 12
_MAX_QUANTILES = 33
_SAMPLES = 5
_MAX_FIELD = 16_000_000


class Kind(str, Enum):
    """What the values of a column are."""

    EMPTY = "empty"
    INTEGER = "integer"
    NUMBER = "number"
    QUANTITY = "quantity"
    BOOLEAN = "boolean"
    DATE = "date"
    DATE_TIME = "date-time"
    TIME = "time"
    EMAIL = "email"
    URI = "uri"
    IMAGE = "image"
    UUID = "uuid"
    IP_ADDRESS = "ipv4"
    CODE = "code"
    TEXT = "text"
    BINARY = "binary"


TEMPORAL = frozenset({Kind.DATE, Kind.DATE_TIME, Kind.TIME})
"""Kinds of dates and times."""


_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DAY_NAME = "(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*"
_CLOCK = r"[0-2]?[0-9]:[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?(?:\s*[ap]\.?m\.?)?"
_DAY = (
    r"(?:(?:[12][0-9]{3}|9999)[-/.][01]?[0-9][-/.][0-3]?[0-9]|[0-3]?[0-9][-/.][0-3]?[0-9](?:[-/.](?:[12][0-9])?[0-9]{2})?"
    rf"|[0-3]?[0-9][ -]{_MONTH}[ ,-]+(?:[12][0-9])?[0-9]{{2}}|{_MONTH}\.? [0-3]?[0-9](?:st|nd|rd|th)?,? [12][0-9]{{3}}"
    r"|[12][0-9]{3}年[01]?[0-9]月[0-3]?[0-9]日|today|yesterday|今[日天]|昨[日天])"
)
_ZONE = "(?:Z|[A-Z]{3,4}|[+-][0-9]{2}:?[0-9]{2})"
_UNIX_DATE = rf"{_DAY_NAME},? {_MONTH} +[0-3]?[0-9] {_CLOCK} [12][0-9]{{3}}"
_KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        (Kind.DATE, r"^\s*(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])\s*$"),
        (Kind.INTEGER, CAST_RULES[ValueType.INTEGER].pattern),
        (Kind.NUMBER, CAST_RULES[ValueType.NUMBER].pattern),
        (Kind.BOOLEAN, r"^\s*(?:true|false|yes|no|y|n|t|f)\s*$"),
        (Kind.UUID, FORMAT_PATTERNS["uuid"]),
        (Kind.EMAIL, r"^\s*[^@\s]+@[^@\s]+\.[^@\s]+\s*$"),
        (
            Kind.IMAGE,
            r"^\s*(?:https?://|www\.)[^\s?#]+\.(?:avif|bmp|gif|jpe?g|png|svg|tiff?|webp)(?:[?#]\S*)?\s*$",
        ),
        (Kind.URI, r"^\s*(?:[a-z][a-z0-9+.-]*://|www\.)\S+\s*$"),
        (Kind.IP_ADDRESS, FORMAT_PATTERNS["ipv4"]),
        (Kind.DATE, rf"^\s*{_DAY}\s*$"),
        (
            Kind.DATE_TIME,
            rf"^\s*(?:{_DAY}[T ,]+{_CLOCK}\s*{_ZONE}?|{_UNIX_DATE})\s*$",
        ),
        (Kind.TIME, rf"^\s*{_CLOCK}\s*$"),
        (Kind.QUANTITY, r"^(?:[^0-9A-Za-z]{0,6}|[A-Za-z]{1,4}\.? )[+-]?[0-9][0-9,.' ]*[^0-9]{0,12}$"),
        (Kind.CODE, r"^\s*(?=\S*[0-9])[A-Z0-9][A-Z0-9./_:-]*\s*$"),
    )
)
_ENOUGH = 0.85
_MEASURABLE = frozenset({Kind.INTEGER, Kind.NUMBER, Kind.QUANTITY, Kind.TEXT, Kind.CODE, Kind.BOOLEAN})
_NUMBER = re.compile(
    r"[+-]?(?:[0-9]{1,3}(?:([' \u00a0\u202f\u2019])[0-9]{3})(?:\1[0-9]{3})*(?:[.,][0-9]+)?(?![0-9])"
    r"|[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?(?![0-9])|(?:[0-9]{1,3}(?:\.[0-9]{3})+|[0-9]+),[0-9]{1,2}(?![0-9])"
    r"|[0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)",
    re.IGNORECASE,
)
_GROUPS = dict.fromkeys(map(ord, "' \u00a0\u202f\u2019"))
_DECIMAL_COMMA = re.compile(r"[^,]+,[0-9]{1,2}")
# What Python prints of a number of NumPy 2, and some write into files.
_NUMPY_NUMBER = re.compile(r"np\.(?:float|u?int)[0-9]*\((.*)\)")
_NUMBER_TAIL = re.compile(r"[0-9+.,%-]*$")
PLACEHOLDERS = frozenset(
    {
        "",
        "-",
        "--",
        "－",
        "—",
        ".",
        "?",
        "na",
        "n/a",
        "n.a.",
        "nan",
        "nat",
        "none",
        "null",
        "nil",
        "#n/a",
        "(null)",
        "\\n",
    }
)
"""Texts that mostly stand for an absent value; they are no evidence for anything."""


@dataclass(frozen=True)
class ColumnProfile:
    """What one column of a sample holds.

    Attributes:
        name: Its name.
        position: Its place in the table, from 0.
        rows: How many values were looked at.
        nulls: How many of these are absent.
        distinct: How many different ones there are among the others.
        values: The most frequent values with their counts; equally frequent ones in their order.
        kind: What they are; TEXT if they are of no one kind.
        share: The share of the present values that are of the kind.
        shapes: The most frequent shapes (`Aa-9`: a capital, small letters, a dash, digits) with their shares.
        quantiles: Up to 33 evenly spaced quantiles of the numbers, where nearly all values hold just one.
        lengths: The smallest, the median and the greatest number of characters.
        unit: What stands beside most of the numbers of a column of quantities, such as `kg` or `$`.
    """

    name: str
    position: int
    rows: int
    nulls: int
    distinct: int
    values: tuple[tuple[str, int], ...]
    kind: Kind
    share: float
    shapes: tuple[tuple[str, float], ...]
    quantiles: tuple[float, ...]
    lengths: tuple[int, int, int]
    unit: str = ""

    @property
    def samples(self) -> tuple[str, ...]:
        """Some of the values, for people."""
        return tuple(value for value, _ in self.values[:_SAMPLES])

    @property
    def minimum(self) -> float | None:
        """The smallest number."""
        return self.quantiles[0] if self.quantiles else None

    @property
    def maximum(self) -> float | None:
        """The greatest number."""
        return self.quantiles[-1] if self.quantiles else None


@dataclass(frozen=True)
class Profile:
    """What a sample holds.

    Attributes:
        columns: One profile a column, in the table's order.
        rows: The rows of the whole sample.
        rows_read: How many of these were looked at.
    """

    columns: tuple[ColumnProfile, ...]
    rows: int
    rows_read: int

    def column(self, name: str) -> ColumnProfile:
        """The first column of a name.

        Raises:
            KeyError: There is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


def shape(text: str) -> str:
    """A text with each run of capitals as `A`, of small letters as `a`, of digits as `9`, of other letters as `x`."""
    found: list[str] = []
    for char in text:
        if char.isdigit():
            sign = "9"
        elif char.isupper():
            sign = "A"
        elif char.islower():
            sign = "a"
        elif char.isalpha():
            sign = "x"
        elif char.isspace():
            sign = " "
        else:
            sign = char
        if not found or found[-1] != sign:
            found.append(sign)
        if len(found) >= 24:
            break
    return "".join(found)


def profile_column(name: str, position: int, values: Iterable[str | None]) -> ColumnProfile:
    """Profile the values of one column; an absent value is None."""
    rows, counts = 0, Counter[str]()
    for value in values:
        rows += 1
        if value is not None:
            counts[value[:_MAX_TEXT]] += 1
    present = sum(counts.values())
    ranked = counts.most_common()
    common = tuple(ranked[:_MAX_VALUES])
    real = [(value, count) for value, count in ranked if value.strip().casefold() not in PLACEHOLDERS]
    telling = real[:_MAX_VALUES]
    kind, share = _kind(telling)
    quantiles = _quantiles(real) if kind in _MEASURABLE else ()
    if kind is Kind.TEXT and quantiles:
        kind = Kind.QUANTITY
    return ColumnProfile(
        name=name,
        position=position,
        rows=rows,
        nulls=rows - present,
        distinct=len(counts),
        values=common,
        kind=kind,
        share=share,
        shapes=_shapes(telling),
        quantiles=quantiles,
        lengths=_lengths(telling),
        unit=_unit(telling) if kind is Kind.QUANTITY else "",
    )


def _kind(values: Sequence[tuple[str, int]]) -> tuple[Kind, float]:
    total = sum(count for _, count in values)
    if not total:
        return Kind.EMPTY, 0.0
    found = Counter[Kind]()
    for value, count in values:
        if "\x00" in value or "\ufffd" in value:
            found[Kind.BINARY] += count
            continue
        for kind, pattern in _KINDS:
            if pattern.match(value):
                found[kind] += count
                break
    if found[Kind.INTEGER] and found[Kind.NUMBER]:
        found[Kind.NUMBER] += found.pop(Kind.INTEGER)
    if found[Kind.DATE] and found[Kind.DATE_TIME]:
        found[Kind.DATE_TIME] += found.pop(Kind.DATE)
    if found[Kind.URI] and found[Kind.IMAGE] < _ENOUGH * total:
        found[Kind.URI] += found.pop(Kind.IMAGE, 0)
    for kind, count in found.most_common(1):
        if count >= _ENOUGH * total:
            return kind, count / total
    return Kind.TEXT, 1.0


def _shapes(values: Sequence[tuple[str, int]]) -> tuple[tuple[str, float], ...]:
    total = sum(count for _, count in values)
    found = Counter[str]()
    for value, count in values:
        found[shape(value)] += count
    return tuple((one, count / total) for one, count in found.most_common(_MAX_SHAPES))


def _quantiles(values: Sequence[tuple[str, int]]) -> tuple[float, ...]:
    texts = [value for value, _ in values]
    if not texts:
        return ()
    head = tail = 0
    if len(texts) > 1:
        head = len(_NUMBER_TAIL.sub("", _shared_start(texts)))
        tail = len(_NUMBER_TAIL.sub("", _shared_start([text[::-1] for text in texts])))
    numbers: list[tuple[float, int]] = []
    missed = 0
    for text, count in values:
        found = [one.group() for one in _NUMBER.finditer(text[head : len(text) - tail])]
        number = _number(found[0]) if len(found) == 1 else math.nan
        if math.isfinite(number):
            numbers.append((number, count))
        else:
            missed += count
    total = sum(count for _, count in numbers)
    if not numbers or missed > (1 - _ENOUGH) * (total + missed):
        return ()
    numbers.sort()
    steps = [index * (total - 1) / (_MAX_QUANTILES - 1) for index in range(_MAX_QUANTILES)]
    found_quantiles, seen, place = [], 0, 0
    for number, count in numbers:
        seen += count
        while place < len(steps) and steps[place] < seen:
            found_quantiles.append(number)
            place += 1
    return tuple(found_quantiles)


def _number(text: str) -> float:
    text = text.translate(_GROUPS)
    if _DECIMAL_COMMA.fullmatch(text):
        return float(text.replace(".", "").replace(",", "."))
    return float(text.replace(",", ""))


def _unit(values: Sequence[tuple[str, int]]) -> str:
    """What stands behind most numbers, or before them where nothing is behind; without blanks."""
    found = Counter[str]()
    for text, count in values:
        behind = text[max((place for place, char in enumerate(text) if char.isdigit()), default=-1) + 1 :]
        before = text[: next((place for place, char in enumerate(text) if char.isdigit()), 0)].rstrip("+-")
        found["".join((behind.strip(" .") or before).split()).casefold()] += count
    for unit, count in found.most_common(1):
        return unit if 2 * count > found.total() else ""
    return ""


def _shared_start(texts: Sequence[str]) -> str:
    """What all texts start with."""
    low, high = min(texts), max(texts)
    same = 0
    while same < len(low) and low[same] == high[same]:
        same += 1
    return low[:same]


def _lengths(values: Sequence[tuple[str, int]]) -> tuple[int, int, int]:
    lengths = sorted(len(value) for value, _ in values)
    return (lengths[0], lengths[len(lengths) // 2], lengths[-1]) if lengths else (0, 0, 0)


def _row_limit(columns: int) -> int:
    return min(MAX_ROWS, max(_MIN_ROWS, _MAX_CELLS // max(columns, 1)))


def _spread(rows: int, limit: int) -> list[int]:
    return list(range(rows)) if rows <= limit else [index * rows // limit for index in range(limit)]


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, float) and math.isnan(value):
        return None
    return value.isoformat(" ") if hasattr(value, "hour") and hasattr(value, "year") else str(value)


def profile_table(table: pa.Table, *, null_values: Sequence[str] = ("",)) -> Profile:
    """Profile an Arrow table.

    Args:
        table: The sample; nested and binary values are looked at as texts.
        null_values: Texts that mean that a value is absent.
    """
    return _profile_arrow(table, table.column_names, table.num_rows, null_values)


def _profile_arrow(table: pa.Table, names: Sequence[str], rows: int, null_values: Sequence[str]) -> Profile:
    chosen = _spread(table.num_rows, _row_limit(len(names)))
    absent = set(null_values)
    sample = table if len(chosen) == table.num_rows else table.take(chosen)
    columns = []
    for position, name in enumerate(names):
        texts = (_text(value) for value in sample.column(position).to_pylist())
        columns.append(profile_column(name, position, (None if text in absent else text for text in texts)))
    return Profile(tuple(columns), rows, len(chosen))


def profile_batch(batch: StagedBatch) -> Profile:
    """Profile a batch that the engine has staged; records that could not be parsed are left out.

    Args:
        batch: The batch; what its flow calls absent is absent.
    """
    with pq.ParquetFile(batch.path) as file:
        groups = _spread(file.num_row_groups, 8)
        columns = [f"c{index}" for index in range(len(batch.columns))]
        limit = _row_limit(len(columns))
        parts = []
        for group in groups:
            part = file.read_row_group(group, columns=["unparsable", *columns])
            part = part.filter(pc.is_null(part.column("unparsable"))).drop_columns(["unparsable"])
            parts.append(part.take(_spread(part.num_rows, math.ceil(limit / len(groups)))))
        table = (
            pa.concat_tables(parts)
            if parts
            else pa.table({name: pa.array([], pa.string()) for name in columns})
        )
    return _profile_arrow(table, batch.columns, batch.rows, ())


def profile_csv(
    path: Path | str,
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
    null_values: Sequence[str] = ("",),
) -> Profile:
    """Profile the first rows of a CSV file; a row of another length is filled up or cut.

    Unlike a batch that is mapped, a sample in the wanted format need not be exact: this reads what it can, also a
    number that was written as `np.float64(1.5)`.

    Raises:
        ValueError: The file is empty, or not of the encoding.
    """
    csv.field_size_limit(_MAX_FIELD)
    with Path(path).open(encoding=encoding, newline="") as file:
        reader = csv.reader((line.replace("\x00", "\ufffd") for line in file), delimiter=delimiter)
        try:
            header = next(reader, None)
            if not header:
                raise ValueError(f"{path}: is empty; a sample has a header and at least one row")
            limit = _row_limit(len(header))
            rows = list(islice(reader, limit))
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: is not {encoding}: {error}; name its encoding") from error
    header[0] = header[0].removeprefix("\ufeff")
    absent = set(null_values)
    columns = tuple(
        profile_column(
            name,
            position,
            (
                None if position >= len(row) or row[position] in absent else _plain(row[position])
                for row in rows
            ),
        )
        for position, name in enumerate(header)
    )
    return Profile(columns, len(rows), len(rows))


def _plain(text: str) -> str:
    wrapped = _NUMPY_NUMBER.fullmatch(text)
    return wrapped[1] if wrapped else text
