from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lume_dagster.client.records import to_records

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
np = pytest.importorskip("numpy")

texts = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.integers(-(2**62), 2**62)
columns = st.lists(
    st.tuples(
        st.none() | texts,
        st.none() | st.booleans(),
        numbers,
        st.floats(allow_nan=False, allow_infinity=False),
    )
)


@given(columns)
def test_each_kind_of_data_gives_the_same_records(rows: list[tuple[Any, ...]]) -> None:
    records = [dict(zip("abcd", row, strict=True)) for row in rows]
    schema = {"a": pa.string(), "b": pa.bool_(), "c": pa.int64(), "d": pa.float64()}
    table = pa.Table.from_pylist(records, schema=pa.schema(schema))
    assert to_records(records) == records
    assert to_records(table) == records
    assert to_records(pl.from_arrow(table)) == records
    assert to_records(pd.DataFrame(records, columns=list("abcd"))) == records


def test_what_pandas_takes_for_nothing_is_null() -> None:
    frame = pd.DataFrame(
        {
            "float": [1.5, float("nan")],
            "when": [pd.Timestamp("2013-01-01T10:00:00Z"), pd.NaT],
            "whole": pd.array([1, pd.NA], dtype="Int64"),
            "kind": pd.Categorical(["a", None]),
            "mixed": ["x", 7],
        },
        index=["one", "two"],
    )
    records = to_records(frame)
    assert json.loads(json.dumps(records)) == records
    assert records == [
        {"float": 1.5, "when": "2013-01-01T10:00:00+00:00", "whole": 1, "kind": "a", "mixed": "x"},
        {"float": None, "when": None, "whole": None, "kind": None, "mixed": 7},
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (date(2013, 1, 2), "2013-01-02"),
        (datetime.fromisoformat("2013-01-02T03:04:05.000006"), "2013-01-02T03:04:05.000006"),
        (datetime(2013, 1, 2, tzinfo=timezone.utc), "2013-01-02T00:00:00+00:00"),
        (time(10, 30), "10:30:00"),
        (Decimal("1.10"), "1.10"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (np.int64(7), 7),
        (np.float64(0.5), 0.5),
        (np.bool_(True), True),
        (np.array([1, 2]), [1, 2]),
        ({"deep": [date(2013, 1, 2)]}, {"deep": ["2013-01-02"]}),
        (("a", None), ["a", None]),
    ],
)
def test_values_have_their_place_in_json(value: Any, text: Any) -> None:
    (record,) = to_records([{"x": value}])
    assert record == {"x": text}
    assert json.loads(json.dumps(record)) == record


@pytest.mark.parametrize(
    ("data", "error", "told"),
    [
        ([{"x": 1}, {"x": float("nan")}], ValueError, "record 2, field 'x': nan.*None"),
        ([{"x": [float("inf")]}], ValueError, r"field 'x'\[0\]: inf"),
        ([{"x": b"raw"}], ValueError, "a bytes has no place"),
        ([{"x": timedelta(1)}], ValueError, "a timedelta has no place"),
        ([{"x": 1}, ["x"]], TypeError, "record 2 is a list"),
        ([{7: 1}], TypeError, "a field named 7"),
        ({"x": [1]}, TypeError, "not builtins.dict"),
        ("x", TypeError, "not builtins.str"),
        (7, TypeError, "a list of dicts, a pandas or Polars DataFrame"),
        (pd.Series([1]), TypeError, "Series"),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), ValueError, "two columns are named 'x'"),
        (
            pa.Table.from_arrays([pa.array([1])] * 2, names=["x", "x"]),
            ValueError,
            "two columns are named 'x'",
        ),
    ],
)
def test_what_cannot_be_sent_is_told(data: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        to_records(data)
