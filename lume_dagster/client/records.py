"""Data that a caller holds, as the JSON records that Lume takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date, time
from decimal import Decimal
from typing import Any
from uuid import UUID

FrameKind = str
"""What kind of data it is: `records`, `arrow`, `pandas` or `polars`."""

_TAKEN = "a list of dicts, a pandas or Polars DataFrame or a pyarrow.Table"


def kind_of(data: object) -> FrameKind:
    """Tell what kind of data this is, without importing the library it may come from.

    Raises:
        TypeError: It is nothing that can be made records of.
    """
    made_by = type(data).__module__.partition(".")[0]
    named = type(data).__name__
    if named == "DataFrame" and made_by in ("pandas", "polars"):
        return made_by
    if named == "Table" and made_by == "pyarrow":
        return "arrow"
    if isinstance(data, Iterable) and not isinstance(data, (str, bytes, Mapping)) and made_by == "builtins":
        return "records"
    raise TypeError(f"source data is {_TAKEN}, not {type(data).__module__}.{named}")


def to_records(data: Any) -> list[dict[str, Any]]:
    """The data as records of JSON values.

    A null, also pandas' NaN, NaT and NA, is null. Dates and times become ISO 8601 texts, decimals and UUIDs texts.

    Args:
        data: A list of dicts, a pandas or Polars DataFrame, or a `pyarrow.Table`.

    Raises:
        TypeError: It is none of these.
        ValueError: A value has no place in JSON; the message names record and field.
    """
    kind = kind_of(data)
    if kind == "pandas":
        _check_names(data.columns)
        # As objects, since a column of floats could not hold None.
        rows = data.astype(object).where(data.notna(), None).to_dict("records")
    elif kind == "polars":
        rows = data.to_dicts()
    elif kind == "arrow":
        _check_names(data.column_names)
        rows = data.to_pylist()
    else:
        rows = list(data)
    return [_record(row, number) for number, row in enumerate(rows, start=1)]


def _check_names(names: Iterable[Any]) -> None:
    known: set[Any] = set()
    for name in names:
        if name in known:
            raise ValueError(f"two columns are named {name!r}; a record has each member once")
        known.add(name)


def _record(row: Any, number: int) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        raise TypeError(f"record {number} is a {type(row).__name__}, not a dict")
    for name in row:
        if not isinstance(name, str):
            raise TypeError(f"record {number} has a field named {name!r}, which is no text")
    return {name: _value(value, f"record {number}, field {name!r}") for name, value in row.items()}


def _value(value: Any, place: str) -> Any:
    if hasattr(value, "item") and type(value).__module__.partition(".")[0] == "numpy":
        value = value.item() if not getattr(value, "shape", ()) else value.tolist()
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{place}: {value} has no place in JSON; write None where there is no value")
        return value
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (Decimal, UUID)):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): _value(member, f"{place}.{name}") for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_value(item, f"{place}[{index}]") for index, item in enumerate(value)]
    raise ValueError(f"{place}: a {type(value).__name__} has no place in JSON; make a text or a number of it")
