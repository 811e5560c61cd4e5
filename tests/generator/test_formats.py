"""What a column is found to be, and what is left open."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from benchmarks.matching_values import measure_formats
from lume_dagster.engine.values import ValueType
from lume_dagster.generator.formats import find_format
from tests.conftest import PROJECT

COLUMNS = json.loads((PROJECT / "benchmarks" / "values" / "columns.json").read_text())


@pytest.mark.parametrize("column", COLUMNS, ids=[column["name"] for column in COLUMNS])
def test_each_column_of_the_benchmark_is_right(column: dict[str, Any]) -> None:
    wrong: list[str] = []
    figures = measure_formats([column], wrong)
    assert (figures.right, figures.silently_wrong) == (1, 0), wrong


def entry(texts: Sequence[str], value_type: ValueType, **said: Any) -> dict[str, Any] | None:
    reading = find_format(texts, value_type, **said).settled
    return reading.entry("c") if reading else None


@pytest.mark.parametrize(
    ("texts", "value_type", "expected"),
    [
        (["2013-02-03"], ValueType.DATE, {"extract": "c"}),
        (["03.02.2013", "25.12.2013"], ValueType.DATE, {"date": {"from": "c", "formats": ["%d.%m.%Y"]}}),
        (["3.2.2013", "25.12.2013"], ValueType.DATE, {"date": {"from": "c", "formats": ["%-d.%-m.%Y"]}}),
        (["9:05 PM"], ValueType.TIME, {"time": {"from": "c", "formats": ["%-I:%M %p"]}}),
        (["517", "1200"], ValueType.TIME, {"time": {"hhmm": "c"}}),
        (["2013-02-03T10:15:00+0100"], ValueType.INSTANT,
         {"datetime": {"from": "c", "formats": ["%Y-%m-%dT%-H:%M:%S+0100"], "time_zone": "Etc/GMT-1"}}),
        (["1.234,50", "(3,25)"], ValueType.NUMBER,
         {"number": {"from": "c", "decimal": ",", "thousands": ".", "negatives": "accounting"}}),
        (["$5", "USD 6"], ValueType.NUMBER, {"number": {"from": "c", "currency": ["$", "USD"]}}),
        (["12%"], ValueType.NUMBER, {"number": {"from": "c", "percent": True}}),
        (["Ja", "nein"], ValueType.BOOLEAN, {"boolean": {"from": "c", "true": ["ja"], "false": ["nein"]}}),
        (["anything"], ValueType.TEXT, {"extract": "c"}),
    ],
)  # fmt: skip
def test_the_entry_that_a_flow_file_has(
    texts: list[str], value_type: ValueType, expected: dict[str, Any]
) -> None:
    assert entry(texts, value_type) == expected


def test_both_readings_of_an_undecided_order() -> None:
    found = find_format(["03/02/2013", "05/12/2013"], ValueType.DATE)
    assert found.settled is None
    assert found.problem == "may be day first or month first"
    assert [one.entry("c")["date"]["formats"] for one in found.readings] == [["%d/%m/%Y"], ["%m/%d/%Y"]]
    assert [one.values["03/02/2013"] for one in found.readings] == [date(2013, 2, 3), date(2013, 3, 2)]


def test_one_day_above_twelve_settles_the_order_for_akin_texts_too() -> None:
    days = [f"{day:02d}/02/2013" for day in range(1, 13)]
    assert entry(days, ValueType.DATE) is None
    assert entry([*days, "13/02/2013"], ValueType.DATE) == {"date": {"from": "c", "formats": ["%d/%m/%Y"]}}
    assert entry([*days, "13/02/99"], ValueType.DATE) == {
        "date": {"from": "c", "formats": ["%d/%m/%Y", "%-d/%m/%y"]}
    }
    assert entry([*days, "13.02.2013"], ValueType.DATE) is None


def test_both_readings_of_a_lone_mark() -> None:
    for texts in (["1.234", "5.678"], ["1,234", "567"]):
        for value_type in (ValueType.NUMBER, ValueType.INTEGER):
            found = find_format(texts, value_type)
            assert found.settled is None
            assert "may mean" in found.problem
        readings = find_format(texts, ValueType.NUMBER).readings
        assert {one.values[texts[0]] for one in readings} == {1.234, 1234.0}


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["500", "3", "5,500"], "5,500 may mean 5500 (decimals behind '.', thousands between ',') or 5.5 "),
        (["3", "123.456"], "123.456 may mean 123.456 (as it is) or 123456 (decimals behind ',', "),
        (["2", "2.5", "1,5"], "2.5 may mean 2.5 (as it is) or no number (decimals behind ',')"),
    ],
)
def test_an_example_is_one_on_which_the_readings_differ(texts: list[str], told: str) -> None:
    assert find_format(texts, ValueType.NUMBER).problem.startswith(told)


def test_what_does_not_conform_is_told() -> None:
    texts = [f"{day:02d}.02.2013" for day in range(10, 29)]
    found = find_format([*texts, "30.02.2013", "n/a", "-", None, "", "  "], ValueType.DATE)
    assert found.settled is not None
    assert found.nonconforming == ("30.02.2013",)
    assert found.absent == ("n/a", "-")
    assert found.settled.values.keys() == set(texts)


def test_too_few_that_conform_are_no_format() -> None:
    found = find_format(["03.02.2013", "25.12.2013", "soon", "later"], ValueType.DATE)
    assert (found.settled, found.readings) == (None, ())
    assert "such as 'soon'" in found.problem


@pytest.mark.parametrize("texts", [[], [None, ""], ["n/a", "-"]])
def test_nothing_to_judge_by(texts: list[str | None]) -> None:
    found = find_format(texts, ValueType.DATE)
    assert found.settled is None
    assert found.problem == "there is no value to judge by"


def test_what_is_taken_for_granted_is_told() -> None:
    texts = ["2013-02-03 10:15", "2013-12-25 23:05"]
    assert "read as UTC" in find_format(texts, ValueType.INSTANT).assumes
    berlin = find_format(texts, ValueType.INSTANT, time_zone="Europe/Berlin")
    assert berlin.assumes == ""
    assert berlin.settled is not None
    assert str(berlin.settled.values[texts[0]]) == "2013-02-03 09:15:00+00:00"
    assert "two digits" in find_format(["25.12.13"], ValueType.DATE).assumes


def test_the_century_of_a_birth_is_not_guessed() -> None:
    texts = ["25.12.45", "13.01.99"]
    assert find_format(texts, ValueType.DATE).settled is not None
    assert find_format(texts, ValueType.DATE, name="dateOfBirth").settled is None


def test_a_field_in_percent_leaves_percents_open() -> None:
    found = find_format(["12%", "3.5 %"], ValueType.NUMBER, name="discount_pct")
    assert found.settled is None
    assert [one.values["12%"] for one in found.readings] == [0.12, 12.0]


@pytest.mark.parametrize("value_type", [one for one in ValueType if one is not ValueType.LIST])
@pytest.mark.parametrize(
    "text", ["9" * 5000, "0" * 5000 + "1", "," * 3000, "(" * 3000, "1 " * 3000, "\x00", "\ud7ff" * 50]
)
def test_odd_texts_take_no_time_and_do_no_harm(text: str, value_type: ValueType) -> None:
    found = find_format([text], value_type)
    assert found.settled is None or set(found.settled.values) == {text}
