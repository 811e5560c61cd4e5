"""Parquet batches: canonical texts, and what cannot be read."""

# ruff: noqa: DTZ001 - local times are what is tested

from __future__ import annotations

import io
from datetime import date, datetime, time, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lume_dagster.engine import BatchError
from tests.engine.conftest import Run, document, one_field

TEXT = {"type": ["string", "null"]}


def parquet(**columns: pa.Array) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (pa.array([5], pa.uint64()), "5"),
        (pa.array([5.0]), "5"),
        (pa.array([12345678901.0]), "12345678901"),
        (pa.array([0.1], pa.float32()), "0.1"),
        (pa.array([float("nan")]), "nan"),
        (pa.array([-float("nan")]), "nan"),
        (pa.array([1e300]), "1e+300"),
        (pa.array([1e-7]), "1e-07"),
        (pa.array([1e-7], pa.float32()), "1e-07"),
        (pa.array([0.00002], pa.float32()), "2e-05"),
        (pa.array([-0.0]), "0"),
        (pa.array([True]), "true"),
        (pa.array([Decimal("1.50")]), "1.50"),
        (pa.array([date(13, 2, 3)]), "0013-02-03"),
        (pa.array([date(2013, 2, 3)], pa.date64()), "2013-02-03"),
        (pa.array([time(10, 0)]), "10:00:00"),
        (pa.array([time(10, 0, 0, 500_000)]), "10:00:00.500000"),
        (pa.array([datetime(2013, 2, 3, 10)], pa.timestamp("s")), "2013-02-03T10:00:00"),
        (pa.array([datetime(2013, 2, 3, 10, 0, 0, 1)], pa.timestamp("us")), "2013-02-03T10:00:00.000001"),
        (pa.array([datetime(2013, 2, 3, 10, tzinfo=timezone.utc)], pa.timestamp("ns", "Europe/Berlin")),
         "2013-02-03T10:00:00Z"),
        (pa.array(["x"]).dictionary_encode(), "x"),
        (pa.array(["x"], pa.large_string()), "x"),
        (pa.array([b"caf\xc3\xa9"]), "caf\u00e9"),
        (pa.array([[1, 2]]), "[1, 2]"),
        (pa.array([{"a": {"b": "\u00e9"}}]), '{"a": {"b": "\u00e9"}}'),
        (pa.array([None]), None),
    ],
)  # fmt: skip
def test_canonical_texts(run: Run, array: pa.Array, text: str | None) -> None:
    outcome = run(one_field(TEXT, {"extract": "a"}), parquet(a=array), "batch.parquet")
    assert outcome.mapped == [{"x": text}]


@pytest.mark.parametrize("others", [[0.0], [None, 0.0], [-1.0, 1.0]])
def test_nan_is_seen_though_the_statistics_of_the_file_leave_it_out(
    run: Run, others: list[float | None]
) -> None:
    batch = parquet(a=pa.array([*others, float("nan")]))
    number = {"type": ["number", "null"], "minimum": -1, "maximum": 1}
    flow = document({"text": TEXT, "number": number}, {"text": {"extract": "a"}, "number": {"extract": "a"}})
    result = run(flow, batch, "batch.parquet")
    assert len(result.mapped) == len(others)
    (reject,) = result.rejects
    assert reject["row_number"] == len(others) + 1
    assert [(error["field"], error["type"], error["value"]) for error in reject["errors"]] == [
        ("number", "type", "nan")
    ]


def test_typed_values_meet_the_same_rules_as_texts(run: Run) -> None:
    columns: dict[str, Any] = {
        "i": pa.array([1, 2**63 - 1, None]),
        "f": pa.array([1.0, 1.5, float("inf")]),
        "d": pa.array([date(2013, 1, 1)] * 3),
    }
    properties = {
        "i": {"type": "integer"}, "f": {"type": "integer"}, "g": {"type": "number"},
        "d": {"type": "string", "format": "date"},
    }  # fmt: skip
    mapper = {name: {"extract": name} for name in columns} | {"g": {"extract": "f"}}
    outcome = run(document(properties, mapper), parquet(**columns), "batch.parquet")
    assert outcome.mapped == [{"i": 1, "f": 1, "g": 1.0, "d": date(2013, 1, 1)}]
    assert outcome.errors == {
        2: [("f", "type", "1.5")],
        3: [("i", "required", None), ("f", "type", "inf"), ("g", "type", "inf")],
    }
    assert outcome.rejects[1]["source_record"] == '{"i":null,"f":"inf","d":"2013-01-01"}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"a,b\n1,2\n", "no Parquet file"),
        (parquet(a=pa.array(["x"]))[:-9], "no Parquet file"),
        (parquet(a=pa.array([], pa.string())), "no record in it; set source.allow_empty"),
        (parquet(b=pa.array(["x"])), r"none is there \('a'\)"),
        (parquet(a=pa.array([b"\xff"])), "'a' holds bytes that are no UTF-8 text"),
        (parquet(a=pa.array([1], pa.duration("s"))), "'a' is of the type duration"),
    ],
)
def test_what_cannot_be_a_batch(run: Run, content: bytes, message: str) -> None:
    with pytest.raises(BatchError, match=message):
        run(one_field(TEXT, {"extract": "a"}), content, "batch.parquet")


def test_what_lies_in_nested_columns_is_read_by_its_path(run: Run) -> None:
    orders = [
        {"who": {"name": "Ada", "born": date(1815, 12, 10)}, "items": [{"sku": "a", "n": 1.0}, {"sku": "b"}]},
        {"who": None, "items": []},
    ]
    content = parquet(
        who=pa.array([one["who"] for one in orders]), items=pa.array([one["items"] for one in orders])
    )
    paths = ["who.name", "who.born", "items[1].sku", "items[0].n", "items[*].sku", "items[9].sku"]
    fields = [f"f{place}" for place in range(len(paths))]
    flow = document(
        dict.fromkeys(fields, TEXT),
        {field: {"extract": path} for field, path in zip(fields, paths, strict=True)},
    )
    outcome = run(flow, content, "batch.parquet")
    assert [list(record.values()) for record in outcome.mapped] == [
        ["Ada", "1815-12-10", "b", "1", '["a", "b"]', None],
        [None, None, None, None, "[]", None],
    ]
    with pytest.raises(BatchError, match="nobody"):
        run(one_field(TEXT, {"extract": "who.nobody"}), content, "batch.parquet")


def test_a_column_that_is_not_read_need_not_have_texts(run: Run) -> None:
    content = parquet(
        a=pa.array(["x"]),
        blob=pa.array([b"\xff\x00"]),
        took=pa.array([1], pa.duration("s")),
        tag=pa.array([b"t"]),
    )
    outcome = run(one_field({"type": "integer"}, {"extract": "a"}), content, "batch.parquet")
    assert outcome.rejects[0]["source_record"] == '{"a":"x","tag":"t"}'
    with pytest.raises(BatchError, match="'blob' holds bytes"):
        run(one_field(TEXT, {"extract": "blob"}), content, "batch.parquet")


def test_an_empty_batch_where_that_can_be(run: Run) -> None:
    flow = one_field(TEXT, {"extract": "a"}, allow_empty=True)
    outcome = run(flow, parquet(a=pa.array([], pa.string())), "batch.parquet")
    assert (outcome.mapped, outcome.rejects) == ([], [])


def test_two_columns_of_one_name(run: Run) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array(["x"]), pa.array(["y"])], names=["a", "a"]), buffer)
    with pytest.raises(BatchError, match="same name"):
        run(one_field(TEXT, {"extract": "a"}), buffer.getvalue(), "batch.parquet")


@pytest.mark.parametrize("array", [pa.array([1, 2]), pa.array([1.0, 2.0]), pa.array(["1", "2"])])
def test_null_values_count_by_the_canonical_text(run: Run, array: pa.Array) -> None:
    properties = {"x": {"type": ["integer", "null"]}, "y": {"type": ["string", "null"]}}
    flow = document(properties, {"x": {"extract": "a"}, "y": {"extract": "a"}}, null_values=["2"])
    outcome = run(flow, parquet(a=array), "batch.parquet")
    assert outcome.mapped == [{"x": 1, "y": "1"}, {"x": None, "y": None}]


def test_names_of_columns_are_no_names_of_the_statement(run: Run) -> None:
    names = ["a", "A", "c0", "row_number", "place", "unparsable", 'q"; --']
    fields = [f"f{index}" for index in range(len(names))]
    flow = document(
        {field: {"type": "integer"} for field in fields},
        {field: {"extract": name} for field, name in zip(fields, names, strict=True)},
    )
    columns = {name: pa.array([index]) for index, name in enumerate(names)}
    outcome = run(flow, parquet(**columns), "batch.parquet")
    assert outcome.mapped == [{field: index for index, field in enumerate(fields)}]
    columns["FILE_ROW_NUMBER"] = pa.array(["x"])
    assert run(flow, parquet(**columns), "batch.parquet").mapped == outcome.mapped


def test_the_stage_of_another_run_is_a_batch_like_any_other(run: Run, work: Path) -> None:
    run(one_field(TEXT, {"extract": "a"}), "a\nx\n")
    stage = (work / "source.parquet").read_bytes()
    outcome = run(one_field(TEXT, {"extract": "c0"}), stage, "batch.parquet")
    assert outcome.mapped == [{"x": "x"}]


@pytest.mark.parametrize("damage", ["page", "text"])
def test_values_that_cannot_be_read(run: Run, damage: str) -> None:
    if damage == "text":
        offsets, bytes_ = pa.array([0, 9], pa.int32()).buffers()[1], pa.py_buffer(b"secret\xff\xfe\xff")
        content = parquet(a=pa.StringArray.from_buffers(1, offsets, bytes_))
    else:
        content = bytearray(parquet(a=pa.array([f"secret {index}" for index in range(1000)])))
        content[20:4000] = bytes(3980)
    with pytest.raises(BatchError, match="cannot be read to its end") as caught:
        run(one_field(TEXT, {"extract": "a"}), bytes(content), "batch.parquet")
    assert "secret" not in str(caught.value)
