"""How a column and a field are measured, what turns one into the other, and what is left to people."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.matching_units import measure_units
from lume_dagster.engine.expression import parse_expression
from lume_dagster.engine.values import ValueType
from lume_dagster.generator.conversions import propose_conversion
from lume_dagster.generator.formats import find_format
from lume_dagster.generator.measures import Aspect, measure_of
from lume_dagster.generator.units import UNITS, Unit, conversion, is_convertible, product, units_of
from tests.conftest import PROJECT

PAIRS = json.loads((PROJECT / "benchmarks" / "values" / "units.json").read_text())


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair['column']} to {pair['field']}")
def test_each_pair_of_the_benchmark_is_right(pair: dict[str, Any]) -> None:
    wrong: list[str] = []
    figures = measure_units([pair], wrong)
    assert (figures.right, figures.silently_wrong) == (1, 0), wrong


@pytest.mark.parametrize(
    ("column", "field", "descriptions", "expected"),
    [
        ("distance", "distance_km", ("Miles flown", ""), "distance * 1.609344"),
        ("Weight (lb)", "weight", ("", "weight in kg"), '"Weight (lb)" * 0.45359237'),
        ("tempF", "temperature", ("", "Degrees Celsius"), "(tempF - 32) / 1.8"),
        ("temp_c", "temperature_f", ("", ""), "temp_c * 1.8 + 32"),
        ("wind_mph", "wind", ("", "Wind speed (km/h)"), "wind_mph * 1.609344"),
        ("air_time", "hours", ("minutes in the air", "Hours in the air"), "air_time / 60"),
        ("distance_km", "distance", ("", "km"), ""),
    ],
)
def test_units_that_are_told_are_turned_into_each_other(
    column: str, field: str, descriptions: tuple[str, str], expected: str
) -> None:
    found = propose_conversion(
        column, field, column_description=descriptions[0], field_description=descriptions[1]
    )
    assert (found.expression, found.problem) == (expected, "")
    if expected:
        parse_expression(found.expression, {})


def test_a_factor_that_is_the_inverse_of_a_whole_number_is_a_division() -> None:
    assert propose_conversion("duration_ms", "duration_seconds").expression == "duration_ms / 1000"
    assert propose_conversion("price_per_lb", "price_per_kg").expression == "price_per_lb / 0.45359237"


def test_a_problem_says_what_is_open() -> None:
    told = propose_conversion("Vol_cuft", "volume", field_description="Volume in m³, or in litres (l)")
    assert told.problem == "Vol_cuft is in ft³, the field in l or m³"
    untold = propose_conversion("latency", "latency_ms")
    assert untold.problem == "the field is in ms; nothing says that latency is"
    assert propose_conversion("weight_kg", "weight").problem.endswith("nothing says that the field is")


def test_the_unit_beside_the_numbers() -> None:
    found = find_format(["12 mi", "3.5 mi"], ValueType.NUMBER)
    assert found.unit == "mi"
    said = propose_conversion("length", "length", field_description="in km", beside=["mi"]).said
    assert said == "length is in mi, the field in km"


def test_a_short_word_means_what_it_is_about() -> None:
    def unit(name: str) -> set[str]:
        return {unit.name for units in measure_of(name).units.values() for unit in units}

    assert unit("depth_m") == {"m"}
    assert unit("revenue_m") == {"millions"}
    assert unit("x_m") == {"m", "min", "millions"}
    assert unit("wind_speed_ms") == {"m/s"}
    assert unit("latency_ms") == {"ms"}
    assert unit("POWER_MW") == {"MW", "mW"}  # the name has lost its case
    assert unit("PowerMW") == {"MW"}
    assert unit("temp_min") == unit("vitamin_c") == unit("check_in") == unit("birth_year") == set()


def test_what_is_said_of_a_number_is_told_apart() -> None:
    said = measure_of("revenue", "Revenue a year, in thousands of US dollars per employee.")
    assert {unit.name for unit in said.of(Aspect.CURRENCY)} == {"USD"}
    assert {unit.name for unit in said.of(Aspect.SCALE)} == {"thousands"}
    assert {unit.name for unit in said.of(Aspect.PERIOD)} == {"year"}
    assert {unit.name for unit in said.of(Aspect.THING)} == {"employee"}
    assert not said.of(Aspect.UNIT)


def test_what_is_only_mentioned_is_no_ground_for_arithmetic() -> None:
    told = propose_conversion("left_km", "left", field_description="Before the tank is empty, so many miles.")
    assert (told.expression, told.problem) == ("", "left_km is in km, the field in mi")
    same = propose_conversion("left_mi", "left", field_description="Before the tank is empty, so many miles.")
    assert same.problem == ""
    assert not measure_of("meter_reading", "What the meter shows.").units
    assert propose_conversion("weight_lb", "weight", field_description="in kg or g").problem


def test_a_number_below_the_line_counts() -> None:
    assert propose_conversion("cost_per_1000_km", "cost_per_km").expression == "cost_per_1000_km / 1000"
    told = propose_conversion("cases_per_1000_people", "cases_per_people", field_description="")
    assert told.problem == "cases_per_1000_people is per 1000 people, the field per people"
    assert propose_conversion("gdp", "gdp_per_capita").problem
    assert not propose_conversion("unit_price", "price_per_unit").problem


def test_dollars_of_other_countries_are_no_us_dollars() -> None:
    for sign in ("A$", "CA$", "HK$"):
        assert propose_conversion("fare", "fare_usd", beside=[sign]).problem
        assert propose_conversion("fare_usd", "fare", field_description=f"Fare in {sign}.").problem
    assert not propose_conversion("fare", "fare_usd", beside=["US$"]).problem


def test_numbers_may_show_that_they_are_percents_or_are_none() -> None:
    def open_for(column: str, description: str, values: list[float]) -> bool:
        return bool(propose_conversion(column, "x", field_description=description, values=values).problem)

    assert not open_for("tax_rate", "in percent", [19.0, 7.0, 19.0])
    assert open_for("tax_rate", "in percent", [0.19, 0.07, 0.19])
    assert open_for("discount", "in percent", [19.0, 7.0, 19.0])  # may be money
    assert not open_for("discount_pct", "as a fraction", [19.0, 7.0])
    assert open_for("discount_pct", "as a fraction", [0.19, 0.07])


@pytest.mark.parametrize(
    "text",
    [
        "(" * 3000,
        "per " * 2000,
        "m " * 2000,
        "/" * 3000,
        "sq " * 2000,
        "\x00",
        "in " * 2000,
        "km per " + "9" * 5000,
    ],
)
def test_odd_texts_take_no_time_and_do_no_harm(text: str) -> None:
    measure_of(text[:500], text)
    measure_of("x", text, [text])


@given(st.sampled_from(UNITS), st.sampled_from(UNITS), st.integers(-1000, 1000))
def test_a_conversion_and_its_inverse_give_the_number_back(one: Unit, other: Unit, number: int) -> None:
    there, back = conversion("x", one, other), conversion("x", other, one)
    assert (there is None) == (back is None) == (one == other or not is_convertible(one, other))
    if there and back:
        assert computed(back, computed(there, Fraction(number))) == number


def computed(expression: str, value: Fraction) -> Fraction:
    """The exact value of a conversion."""
    exact = "".join(f"Fraction('{part}')" if part[0].isdigit() else part for part in _parts(expression))
    result = eval(exact, {"Fraction": Fraction, "x": value})
    assert isinstance(result, Fraction)
    return result


def _parts(expression: str) -> list[str]:
    return expression.replace("(", "( ").replace(")", " )").split()


def test_products_are_measured_by_their_parts() -> None:
    (km,), (hour,), (kmh,) = units_of("km"), units_of("hours"), units_of("kmh")
    made = product([(km, 1), (hour, -1)])
    assert made == kmh
    assert made.name == "km/h"
    assert conversion("x", product([(km, -1)]), product([(units_of("miles")[0], -1)])) == "x * 1.609344"
