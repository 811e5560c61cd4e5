from __future__ import annotations

from datetime import date, datetime
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lume_dagster.engine import Engine, EngineSettings, parse_flow
from lume_dagster.generator.profile import (
    MAX_ROWS,
    Kind,
    profile_batch,
    profile_column,
    profile_csv,
    profile_table,
    shape,
)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "22", "-3"], Kind.INTEGER),
        (["1.5", "2", "1e3"], Kind.NUMBER),
        (["$45", "$225", "$7"], Kind.QUANTITY),
        (["1680萬", "2,080 萬"], Kind.QUANTITY),
        (["T3", "T4a", "T2"], Kind.CODE),
        (["N957AT", "N355NB"], Kind.CODE),
        (["Yes", "no", "YES"], Kind.BOOLEAN),
        (["2013-02-03", "2014-12-31"], Kind.DATE),
        (["03.02.2013", "3/2/13"], Kind.DATE),
        (["20130203", "20141231"], Kind.DATE),
        (["2013-02-03T10:00:00Z", "2013-02-03 10:00"], Kind.DATE_TIME),
        (["Fri Mar 25 22:48:16 2022"], Kind.DATE_TIME),
        (["10:30", "5:07 pm"], Kind.TIME),
        (["a@b.de", "c.d@e.org"], Kind.EMAIL),
        (["https://example.com/a", "www.example.com"], Kind.URI),
        (["https://example.com/a.JPG", "https://cdn.example.com/b/c.png?width=640"], Kind.IMAGE),
        (["https://example.com/a.jpg", "https://example.com/b"], Kind.URI),
        (["123e4567-e89b-12d3-a456-426614174000"], Kind.UUID),
        (["10.0.0.1", "192.168.1.7"], Kind.IP_ADDRESS),
        (["steel pump", "valve"], Kind.TEXT),
        (["a\x00b", "\x00\x01"], Kind.BINARY),
        ([None, "", "n/a", "-"], Kind.EMPTY),
        ([], Kind.EMPTY),
    ],
)
def test_a_column_says_what_its_values_are(values: list[str | None], kind: Kind) -> None:
    assert profile_column("x", 0, values).kind is kind


def test_a_profile_counts() -> None:
    column = profile_column("price", 3, ["5", None, "5", "1", "9"])
    assert (column.name, column.position, column.rows, column.nulls, column.distinct) == ("price", 3, 5, 1, 3)
    assert column.values[0] == ("5", 2)
    assert (column.minimum, column.maximum) == (1, 9)
    assert column.samples == ("5", "1", "9")


def test_a_few_wrong_values_do_not_change_what_a_column_is() -> None:
    assert profile_column("x", 0, ["1"] * 19 + ["abc"]).kind is Kind.INTEGER
    assert profile_column("x", 0, ["1", "abc"]).kind is Kind.TEXT


def test_what_stands_around_all_numbers_is_no_number() -> None:
    column = profile_column("x", 0, ["v64(1.5)", "v64(2.5)"])
    assert column.kind is Kind.QUANTITY
    assert (column.minimum, column.maximum) == (1.5, 2.5)


@given(st.lists(st.none() | st.text(), max_size=30))
def test_any_texts_can_be_profiled(values: list[str | None]) -> None:
    column = profile_column("x", 0, values)
    assert column.rows == len(values)
    assert column.nulls == sum(value is None for value in values)
    assert 0 <= column.share <= 1
    assert list(column.quantiles) == sorted(column.quantiles)
    assert profile_column("x", 0, values) == column


@given(st.text())
def test_a_shape_is_short_and_has_no_runs(text: str) -> None:
    found = shape(text)
    assert len(found) <= 24
    assert all(one != other for one, other in pairwise(found))


def test_an_arrow_table_of_all_types_is_profiled() -> None:
    table = pa.table(
        {
            "whole": [1, 2, None],
            "float": [1.5, float("nan"), 2.5],
            "yes": [True, False, True],
            "day": [date(2020, 1, 2)] * 3,
            "moment": [datetime(2020, 1, 2, 3, 4)] * 3,  # noqa: DTZ001
            "bytes": [b"\xff\x00", b"\x00", None],
            "list": [[1], [2, 3], None],
            "none": pa.nulls(3),
        }
    )
    profile = profile_table(table)
    kinds = {column.name: column.kind for column in profile.columns}
    assert kinds == {
        "whole": Kind.INTEGER,
        "float": Kind.NUMBER,
        "yes": Kind.BOOLEAN,
        "day": Kind.DATE,
        "moment": Kind.DATE_TIME,
        "bytes": Kind.BINARY,
        "list": kinds["list"],
        "none": Kind.EMPTY,
    }
    assert profile.column("float").nulls == 1
    with pytest.raises(KeyError):
        profile.column("other")


def test_a_large_table_is_looked_at_from_end_to_end() -> None:
    profile = profile_table(pa.table({"n": list(range(100_000))}))
    assert profile.rows == 100_000
    assert profile.rows_read == MAX_ROWS
    assert profile.columns[0].maximum is not None
    assert profile.columns[0].maximum > 99_000


def test_ten_thousand_columns_are_looked_at_in_fewer_rows() -> None:
    table = pa.table({f"c{place}": ["a"] * 200 for place in range(10_000)})
    assert profile_table(table).rows_read == 100


def test_a_csv_file_is_profiled(tmp_path: Path) -> None:
    path = tmp_path / "sample.csv"
    path.write_text("\ufeffid;name\n1;Ada\n2\n3;Bob;more\n", encoding="utf-8")
    profile = profile_csv(path, delimiter=";")
    assert [column.name for column in profile.columns] == ["id", "name"]
    assert profile.column("name").nulls == 1


def test_a_number_that_numpy_has_printed_is_one(tmp_path: Path) -> None:
    file = tmp_path / "wanted.csv"
    file.write_text("a,b\nnp.float64(1.5),np.int64(-2)\nnp.float64(nan),note\n")
    assert [column.values for column in profile_csv(file).columns] == [
        (("1.5", 1), ("nan", 1)),
        (("-2", 1), ("note", 1)),
    ]


def test_a_csv_file_of_zero_bytes_and_one_of_another_encoding_are_told(tmp_path: Path) -> None:
    path = tmp_path / "sample.csv"
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is empty; a sample has a header"):
        profile_csv(path)
    path.write_bytes("näme\nx\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"is not utf-8.*name its encoding"):
        profile_csv(path)
    assert profile_csv(path, encoding="latin-1").columns[0].name == "näme"


def test_a_staged_batch_is_profiled_without_its_unparsable_records(tmp_path: Path) -> None:
    batch = tmp_path / "batch.csv"
    batch.write_text("id,name\n1,Ada\n2,Bob,much,more\n3,\n")
    flow = parse_flow(
        {
            "target_schema": {"type": "object", "properties": {"id": {"type": "integer"}}},
            "mapper": {"id": {"extract": "id"}},
            "source": {"ignore": ["name"]},
        },
        name="sample",
        version="v1",
    )
    with Engine(EngineSettings(directories=(tmp_path,))) as engine:
        profile = profile_batch(engine.ingest(flow, str(batch), tmp_path))
    assert profile.rows == 3
    assert profile.rows_read == 2
    assert [column.name for column in profile.columns] == ["id", "name"]
    assert profile.column("name").nulls == 1


@pytest.mark.parametrize(
    ("texts", "numbers", "unit"),
    [
        (["1,090 kg", "2,500 kg", "900 kg"], (900, 2500), "kg"),
        (["$1,234.50", "$ 12", "$7"], (7, 1234.5), "$"),
        (["12,50", "1.234,75", "700,10"], (12.5, 1234.75), ""),
        (["approx. 24.5 m", "30 m", "8 m"], (8, 30), "m"),
    ],
)
def test_quantities_are_read_with_separators_and_units(
    texts: list[str], numbers: tuple[float, float], unit: str
) -> None:
    column = profile_column("x", 0, texts)
    assert (column.minimum, column.maximum, column.unit) == (*numbers, unit)


def test_a_moment_of_today_is_a_moment() -> None:
    assert profile_column("x", 0, ["today 09:33", "01/29 11:30", "yesterday 23:44"]).kind is Kind.DATE_TIME
