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
    assert not found.accepted
    shown = one({"full_name": names}, field, TEXT, FIRST[:3] if part == 1 else LAST[:3])
    assert shown.operation == found.operation
    assert shown.accepted


@pytest.mark.parametrize(
    ("column", "names", "field"),
    [
        ("Name", ["Wang Wei", "Li Na"], "first_name"),
        ("Customer Name", ["Acme Ltd", "Bolt GmbH"], "last_name"),
        ("Customer Name", ["Acme, Inc.", "Bolt, Ltd."], "last_name"),
        ("Employee Name", ["Dr. Byron", "Mr. Mohr"], "first_name"),
        ("Employee Name", ["Byron Ada", "Mohr Max"], "first_name"),
        ("Father Name", ["Byron, Ada", "Mohr, Max"], "first_name"),
    ],
)
def test_a_word_of_a_name_is_not_accepted_where_it_may_be_another(
    column: str, names: list[str], field: str
) -> None:
    found = one({column: names}, field, TEXT)
    assert found.operation is None or "split" in found.operation
    assert not found.accepted


def test_names_of_three_words_are_for_people_to_look_at() -> None:
    found = one({"full_name": ["Ada van Abt", "Ben Bauer", "Clara Costa"]}, "last_name", TEXT)
    assert found.sources == ("full_name",)
    assert not found.accepted


def test_names_of_which_some_have_no_comma_are_for_people_to_look_at() -> None:
    names = [f"Abt, Ada {letter}." for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOP"]
    assert one({"full_name": names}, "last_name", TEXT).accepted
    assert not one({"full_name": [*names, "Ben Bauer"]}, "last_name", TEXT).accepted


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


@pytest.mark.parametrize(
    ("column", "field", "values"),
    [
        ("Product Name", "name", ["Blue Mug", "Red Plate"]),
        ("Customer Name", "customer", ["Ada Abt", "Ben Bauer"]),
        ("Company Name", "organization", ["Acme Ltd", "Bolt GmbH"]),
        ("Mailing Street", "address", ["Oak 1", "Elm 2"]),
        ("Mailing City", "city", ["New York", "San Diego"]),
        ("Order Status", "status", ["In Progress", "On Hold"]),
        ("Document Reference", "reference", ["INV-1", "CN-3"]),
        ("Time Zone", "zone", ["Europe/Berlin", "America/Chicago"]),
        ("Blood Pressure", "pressure", ["120/80", "130/90"]),
    ],
)
def test_two_words_are_no_list_and_the_column_stays_whole(column: str, field: str, values: list[str]) -> None:
    found = one({column: values}, field, TEXT)
    assert found.operation == {"extract": column}
    assert found.accepted


def test_a_part_by_name_is_accepted_only_if_the_values_are_known() -> None:
    source = {"origin_dest": ["EWR-IAH", "LGA-MIA"]}
    assert not one(source, "destination", TEXT).accepted
    assert one(source, "destination", TEXT, ["IAH", "MIA", "JFK"]).accepted
    permitted = {"type": "string", "enum": ["IAH", "MIA"]}
    assert one(source, "destination", permitted).accepted


def test_a_part_is_cut_where_no_part_is_cut_itself() -> None:
    found = one({"Start/End Time": ["09:00-10:00", "10:00-11:30"]}, "end", TEXT)
    assert found.operation == {"split": {"from": "Start/End Time", "by": "-", "part": 2}}
    assert not found.accepted
    assert one({"Brand/Model": ["VW/Golf", "Audi/A3"]}, "brand", TEXT).operation == {
        "split": {"from": "Brand/Model", "by": "/", "part": 1}
    }


def test_a_column_that_is_the_field_goes_before_a_part_of_another() -> None:
    source = {"Full Name": ["Abt, Ada", "Bauer, Ben"], "given_name": ["Ada M.", "Ben"]}
    assert one(source, "first_name", TEXT).operation == {"extract": "given_name"}


@pytest.mark.parametrize(
    ("source", "field", "schema"),
    [
        ({"dropoff_lat_lng": ["52.5,13.4", "52.6,13.5"]}, "pickup_latitude", NUMBER),
        ({"shipping_city_state": ["Reno, NV", "Salem, OR"]}, "billing_city", TEXT),
    ],
)
def test_a_part_of_what_is_of_something_else_is_not_taken(
    source: dict[str, list[Any]], field: str, schema: dict[str, Any]
) -> None:
    assert not one(source, field, schema).accepted


def test_a_day_is_not_accepted_where_it_is_that_of_many_zones() -> None:
    mixed = {"order_timestamp": ["2020-01-02T23:00:00-05:00", "2021-05-06T23:59:00Z"]}
    assert not one(mixed, "order_date", DATE).accepted
    utc = {"order_timestamp": ["2020-01-02T23:00:00Z", "2021-05-06T23:59:00Z"]}
    assert one(utc, "order_date", DATE | {"description": "Day, in UTC."}).accepted
    assert not one(utc, "order_date", DATE | {"description": "Day in local time."}).accepted


def test_a_middle_name_is_part_of_a_name_if_it_is_asked_for() -> None:
    source: dict[str, list[Any]] = {
        "first_name": FIRST, "middle_name": ["M.", None] * 3, "last_name": LAST,
    }  # fmt: skip
    found = one(source, "full_name", TEXT | {"description": "Full name, with middle name."})
    assert found.operation == {
        "aggregate": {"of": ["first_name", "middle_name", "last_name"], "function": "join", "separator": " "}
    }
    assert found.accepted
    assert not one(source, "full_name", TEXT).accepted


def test_the_name_of_a_company_is_not_that_of_a_person() -> None:
    source = {"First Name": FIRST, "Last Name": LAST, "Company": ["Acme", "Bolt"] * 3}
    found = one(source, "customer_name", TEXT | {"description": "Name of the company."})
    assert len(found.sources) < 2
    assert not found.accepted


@pytest.mark.parametrize(
    ("field", "description"),
    [
        ("manager_name", ""),
        ("full_name", "Full name of the manager."),
        ("name", "First name."),
        ("name", "Name of the product."),
        ("name", "Login name."),
        ("user_name", ""),
        ("name", "Name of the customer, with company."),
    ],
)
def test_a_name_of_somebody_or_something_else_is_not_accepted(field: str, description: str) -> None:
    source = {"First Name": FIRST, "Last Name": LAST}
    assert not one(source, field, TEXT | {"description": description}).accepted


def test_two_fields_made_alike_are_for_people_to_look_at() -> None:
    source = pa.table({"First Name": FIRST, "Last Name": LAST})
    both = propose(profile_table(source), {"properties": {"customer_name": TEXT, "employee_name": TEXT}})
    assert [len(found.sources) for found in both] == [2, 2]
    assert not any(found.accepted for found in both)
    assert propose(profile_table(source), {"properties": {"customer_name": TEXT}})[0].accepted


def test_a_column_that_lists_more_than_the_field_is_not_accepted_as_it_is() -> None:
    found = one({"origin_dest": ["EWRIAH", "LGAMIA"]}, "origin", TEXT)
    assert not found.accepted


@pytest.mark.parametrize(
    ("column", "values", "description", "steps"),
    [
        ("Dr/Cr", ["D", "C"], "Negative for debits.", [{"replace": ["C", ""]}, {"replace": ["D", "-"]}]),
        ("Dr/Cr", ["D", "C"], "Credits are negative.", [{"replace": ["C", "-"]}, {"replace": ["D", ""]}]),
        ("Side", ["DR", "CR"], "Debits negative.", [{"replace": ["CR", ""]}, {"replace": ["DR", "-"]}]),
        ("Sign", ["-", "+"], "Signed amount.", [{"replace": ["+", ""]}]),
    ],
)
def test_a_sign_in_a_column_of_its_own_is_put_before_the_number(
    column: str, values: list[str], description: str, steps: list[dict[str, list[str]]]
) -> None:
    found = one({"Amount": ["5.00", "6.00"], column: values}, "amount", NUMBER | {"description": description})
    assert found.operation == {"concat": [column, "Amount"], "steps": steps}
    assert found.accepted


@pytest.mark.parametrize(
    ("column", "values"),
    [("Rh", ["-", "+"]), ("Note", ["-", "-"]), ("Grade", ["D", "C"]), ("Sign", ["-", None])],
)
def test_what_may_be_no_sign_is_for_people_to_look_at(column: str, values: list[Any]) -> None:
    source = {"Amount": ["5.00", "6.00"], column: values}
    description = {"description": "Signed amount, negative for debits."}
    assert not one(source, "amount", NUMBER | description).accepted


@pytest.mark.parametrize("description", ["Signed amount.", "Negative for debits and for credits."])
def test_which_side_is_negative_is_not_guessed(description: str) -> None:
    source = {"Amount": ["5.00", "6.00"], "Dr/Cr": ["D", "C"]}
    found = one(source, "amount", NUMBER | {"description": description})
    assert found.operation == {"extract": "Amount"}
    assert not found.accepted


def test_a_code_is_put_together_as_the_wanted_form_shows() -> None:
    carriers, numbers = ["UA", "AA", "DL", "B6", "WN"] * 6, [str(100 + 7 * place) for place in range(30)]
    wanted = [f"{carrier}-{number}" for carrier, number in zip(carriers, numbers, strict=True)][::2]
    found = one({"carrier": carriers, "number": numbers}, "code", TEXT, wanted)
    assert found.operation == {"concat": ["carrier", "number"], "separator": "-"}
    assert found.accepted
