from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from lume_dagster.generator.matching import Proposal, propose
from lume_dagster.generator.profile import profile_table

DATE = {"type": "string", "format": "date"}
LOCAL = {"type": "string", "format": "date-time-local"}
TEXT = {"type": "string"}
NUMBER = {"type": "number"}
FIRST = ["Ada", "Ben", "Clara", "Dan", "Eve", "Fay"]
LAST = ["Abt", "Bauer", "Costa", "Duval", "Erben", "Falk"]


def one(
    source: dict[str, list[Any]], field: str, schema: dict[str, Any], wanted: list[str] | None = None
) -> Proposal:
    sample = profile_table(pa.table({field: wanted})) if wanted else None
    return propose(profile_table(pa.table(source)), {"properties": {field: schema}}, sample)[0]


def test_a_full_name_is_first_and_last() -> None:
    found = one({"fname": FIRST, "lname": LAST}, "full_name", TEXT)
    assert found.operation == {"concat": ["fname", "lname"], "separator": " "}
    assert found.accepted


def test_a_full_name_of_which_a_part_may_be_absent_is_what_is_there() -> None:
    found = one({"first_name": [*FIRST, None], "last_name": [*LAST, "Gut"]}, "full_name", TEXT)
    assert found.operation == {
        "aggregate": {"of": ["first_name", "last_name"], "function": "join", "separator": " "}
    }


def test_the_wanted_form_says_which_name_comes_first() -> None:
    found = one(
        {"first_name": FIRST, "last_name": LAST}, "full_name", TEXT, ["Gut, Hans", "Ill, Ida", "Jost, Kai"]
    )
    assert found.operation == {"concat": ["last_name", "first_name"], "separator": ", "}


def test_a_company_has_no_first_name() -> None:
    found = one({"first_name": FIRST, "last_name": LAST}, "company_name", TEXT)
    assert len(found.sources) < 2
    assert not found.accepted


def test_the_names_of_two_people_are_kept_apart() -> None:
    source = {
        "billing_first_name": FIRST, "billing_last_name": LAST,
        "shipping_first_name": FIRST[::-1], "shipping_last_name": LAST[::-1],
    }  # fmt: skip
    assert one(source, "shipping_name", TEXT).sources == ("shipping_first_name", "shipping_last_name")


@pytest.mark.parametrize(("field", "part"), [("first_name", 1), ("last_name", -1)])
def test_a_full_name_of_two_words_is_split(field: str, part: int) -> None:
    names = [f"{first} {last}" for first, last in zip(FIRST, LAST, strict=True)]
    found = one({"full_name": names}, field, TEXT)
    assert found.operation == {"split": {"from": "full_name", "by": " ", "part": part}}
    assert found.accepted


def test_names_of_three_words_are_for_people_to_look_at() -> None:
    found = one({"full_name": ["Ada van Abt", "Ben Bauer", "Clara Costa"]}, "last_name", TEXT)
    assert found.sources == ("full_name",)
    assert not found.accepted


def test_a_name_with_a_comma_is_split_there() -> None:
    found = one({"full_name": ["Abt, Ada", "Bauer, Ben"]}, "first_name", TEXT)
    assert found.operation == {"split": {"from": "full_name", "by": ", ", "part": 2}}


PARTS = {"year": ["2020", "2021", "2022"], "month": ["1", "5", "12"], "day": ["31", "2", "9"]}


def test_a_date_is_year_month_and_day() -> None:
    found = one(PARTS, "date", DATE)
    assert found.operation == {"date": {"year": "year", "month": "month", "day": "day"}}
    assert found.accepted


def test_parts_of_another_date_are_not_taken() -> None:
    birth = {f"birth_{name}": values for name, values in PARTS.items()}
    assert one(birth, "birth_date", DATE).sources == ("birth_year", "birth_month", "birth_day")
    assert len(one(birth, "hire_date", DATE).sources) < 3


def test_numbers_that_are_no_month_make_no_date() -> None:
    assert len(one({**PARTS, "month": ["13", "40", "99"]}, "date", DATE).sources) < 3


def test_a_moment_is_a_day_and_a_clock_reading() -> None:
    source = {**PARTS, "sched_dep_time": ["517", "5", "2359"]}
    found = one(source, "scheduled_departure", LOCAL)
    assert found.operation == {
        "datetime": {"year": "year", "month": "month", "day": "day", "hhmm": "sched_dep_time"}
    }
    assert found.accepted


@pytest.mark.parametrize(
    ("description", "clock"),
    [("When it took off.", "dep_time"), ("When it was scheduled to leave.", "sched_dep_time")],
)
def test_a_moment_is_the_actual_one_unless_the_schedule_is_asked_for(description: str, clock: str) -> None:
    source = {**PARTS, "sched_dep_time": ["515", "5", "2359"], "dep_time": ["517", "NA", "2355"]}
    found = one(source, "departure", {**LOCAL, "description": description})
    assert found.operation is not None
    assert found.operation["datetime"]["hhmm"] == clock


def test_an_arrival_may_be_on_the_next_day_and_is_not_accepted() -> None:
    found = one({**PARTS, "sched_arr_time": ["517", "5", "2359"]}, "scheduled_arrival", LOCAL)
    assert not found.accepted
    assert "next day" in found.reasons[0]


def test_a_clock_without_a_zone_is_no_instant_without_a_word() -> None:
    source = {"order_date": ["2020-01-02", "2020-01-03"], "order_time": ["10:00", "23:59"]}
    local = one(source, "ordered_at", LOCAL)
    assert local.operation == {"concat": ["order_date", {"text": "T"}, "order_time"]}
    assert local.accepted
    instant = one(source, "ordered_at", {"type": "string", "format": "date-time"})
    assert instant.operation == {"concat": ["order_date", {"text": "T"}, "order_time", {"text": "Z"}]}
    assert not instant.accepted


@pytest.mark.parametrize(
    ("field", "schema", "pattern"),
    [
        ("order_date", DATE, "^([0-9]{4}-[0-9]{2}-[0-9]{2})"),
        ("order_year", {"type": "integer"}, "^([0-9]{4})-"),
        ("order_hour", {"type": "integer"}, "[T ]([0-9]{2}):"),
    ],
)
def test_a_piece_of_a_moment_is_cut_out(field: str, schema: dict[str, Any], pattern: str) -> None:
    found = one({"order_timestamp": ["2020-01-02T10:00:00", "2021-05-06T23:59:00"]}, field, schema)
    assert found.operation == {"regex": {"from": "order_timestamp", "pattern": pattern, "group": 1}}


def test_coordinates_tell_their_order_by_their_values_or_their_name() -> None:
    by_value = one({"position": ["-122.4, 37.8", "-118.2, 34.1"]}, "latitude", NUMBER)
    assert by_value.operation == {"split": {"from": "position", "by": ", ", "part": 2}}
    assert by_value.accepted
    by_name = one({"lon_lat": ["13.4;52.5", "11.6;48.1"]}, "longitude", NUMBER)
    assert by_name.operation == {"split": {"from": "lon_lat", "by": ";", "part": 1}}
    assert by_name.accepted
    assert not one({"position": ["13.4;52.5", "11.6;48.1"]}, "longitude", NUMBER).accepted


def test_a_place_is_taken_apart() -> None:
    source = {"city_state_zip": ["Boston, MA 02110", "Reno, NV 89501"]}
    found = one(source, "state", TEXT)
    assert found.operation == {"regex": {"from": "city_state_zip", "pattern": ", ([A-Z]{2})", "group": 1}}


def test_a_column_that_lists_its_parts_is_split() -> None:
    found = one({"origin_dest": ["EWR-IAH", "LGA-MIA"]}, "destination", TEXT)
    assert found.operation == {"split": {"from": "origin_dest", "by": "-", "part": 2}}


def test_a_code_is_put_together_as_the_wanted_form_shows() -> None:
    carriers, numbers = ["UA", "AA", "DL", "B6", "WN"] * 6, [str(100 + 7 * place) for place in range(30)]
    wanted = [f"{carrier}-{number}" for carrier, number in zip(carriers, numbers, strict=True)][::2]
    found = one({"carrier": carriers, "number": numbers}, "code", TEXT, wanted)
    assert found.operation == {"concat": ["carrier", "number"], "separator": "-"}
    assert found.accepted
