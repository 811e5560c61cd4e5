"""Values into options: what is found, what is never taken for something else, and that it is always the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.matching_values import measure_classes
from lume_dagster.engine import parse_flow
from lume_dagster.generator.aliases import alias_packs
from lume_dagster.generator.classification import ACCEPT, Option, classify, lookup_entry, options_of
from tests.conftest import PROJECT

CLASSES = PROJECT / "benchmarks" / "values" / "classes.json"
AIRLINES = {
    "AA": "American Airlines Inc.",
    "AS": "Alaska Airlines Inc.",
    "B6": "JetBlue Airways",
    "UA": "United Air Lines Inc.",
    "US": "US Airways Inc.",
    "VX": "Virgin America",
}
COUNTRIES = (
    "Namibia",
    "Germany",
    "Guyana",
    "French Guiana",
    "Rwanda",
    "Uganda",
    "Niger",
    "Nigeria",
    "Austria",
    "Australia",
)


def accepted(
    values: list[str], *options: str, titles: dict[str, str] | None = None, field: str = ""
) -> dict[str, object]:
    """The values whose class is taken over, with it."""
    found = classify(values, [Option(option, (titles or {}).get(option)) for option in options], field=field)
    assert [one.value for one in found] == values
    assert all(one.reason and 0 <= one.confidence <= 1 for one in found)
    return {one.value: one.option for one in found if one.accepted}


@pytest.mark.parametrize(
    ("value", "option"),
    [
        ("United Airlines", "UA"), ("UNITED AIR LINES", "UA"), ("United", "UA"), ("jet blue", "B6"), ("Jetblue", "B6"),
        ("US Air", None), ("US Airways", "US"), ("ua", "UA"), ("American", "AA"), ("America West Airlines", None),
        ("Virgin Atlantic", None), ("United Parcel Service", None), ("Alaskan Cruises", None), ("Airlines", None),
    ],
)  # fmt: skip
def test_titles_tell_what_a_code_means(value: str, option: str | None) -> None:
    assert accepted([value], *AIRLINES, titles=AIRLINES, field="carrier").get(value) == option


@pytest.mark.parametrize(
    ("value", "option"),
    [
        ("DE", "Germany"), ("deu", "Germany"), ("276", "Germany"), ("Deutschland", "Germany"), ("Germny", "Germany"),
        ("GUY", "Guyana"), ("Guiana", None), ("GF", "French Guiana"), ("NE", "Niger"), ("Nigera", None),
        ("Rwnda", "Rwanda"),
        ("Republic of Uganda", "Uganda"), ("N/A", None), ("NA", None), ("n.a.", None), ("Austra", None),
        ("Papua New Guinea", None), ("Guinea", None), ("Europe", None), ("not Germany", None), ("", None), ("-", None),
    ],
)  # fmt: skip
def test_countries_that_look_alike_are_kept_apart(value: str, option: str | None) -> None:
    assert accepted([value], *COUNTRIES, field="country").get(value) == option


def test_codes_and_names_go_both_ways() -> None:
    assert accepted(["Ohio", "Texas", "N. Mexico"], "OH", "TX", "NM", field="state") == {
        "Ohio": "OH", "Texas": "TX", "N. Mexico": "NM",
    }  # fmt: skip
    assert accepted(["OH", "tx"], "Ohio", "Texas", field="state") == {"OH": "Ohio", "tx": "Texas"}


def test_na_is_namibia_among_codes_and_nothing_among_names() -> None:
    assert accepted(["NA", "DE", "FR"], "NA", "DE", "FR", field="country")["NA"] == "NA"
    assert accepted(["NA", "DE", "FR"], "Namibia", "Germany", "France", field="country")["NA"] == "Namibia"
    assert "NA" not in accepted(["NA", "Germany", "France"], "NA", "DE", "FR", field="country")
    assert "NA" not in accepted(["NA", "Germany", "France"], "Namibia", "Germany", "France", field="country")


@pytest.mark.parametrize(
    ("options", "value"),
    [
        (("active", "blocked"), "not active"), (("active", "blocked"), "inactive"), (("high", "low"), "not high"),
        (("high", "low"), "very low"), (("paid", "open"), "unpaid"), (("paid", "open"), "partially paid"),
        (("true", "false"), "-1"), (("1", "2"), "-1"), (("A+", "B+"), "A-"), (("A+", "B+"), "A"),
        (("65+", "18-24"), "65"),
        (("18-24",), "24-18"), (("18-24",), "1824"), (("contract", "permanent"), "contact"),
        (("employer",), "employee"),
        (("hypertension",), "hypotension"), (("internal", "other"), "intern"), (("homeowner", "tenant"), "home"),
        (("male", "female"), "female to male"), (("Type A", "Type B"), "Type C"), (("9E", "NE"), "N"),
        (("XL", "S"), "XXL"),
        (("P1", "P2"), "P3"), (("Monday", "Thursday"), "T"), (("January", "June"), "J"), (("trial",), "trail"),
        (("import", "other"), "export"), (("credit card", "cash"), "card"), (("IN", "OUT"), "Indiana"),
    ],
)  # fmt: skip
def test_what_is_something_else_is_never_taken(options: tuple[str, ...], value: str) -> None:
    assert accepted([value], *options) == {}


def test_a_pack_knows_what_is_outside_the_options() -> None:
    (found,) = classify(["Tuesday"], [Option("Monday"), Option("Thursday")], field="day")
    assert (found.option, found.reason) == (None, "weekdays: no option alone means it")
    assert accepted(["T"], "Monday", "Wednesday", "Thursday") == {}


def test_a_pack_that_fits_by_numbers_alone_needs_the_fields_word() -> None:
    assert accepted(["Feb"], "1", "2", "3", field="month") == {"Feb": "2"}
    assert accepted(["Feb"], "1", "2", "3", field="result") == {}
    assert accepted(["Feb"], "1", "2", titles={"1": "Approved", "2": "Declined"}, field="month") == {}


def test_likely_ones_are_only_suggested() -> None:
    (found,) = classify(["HR"], [Option("Human Resources"), Option("Finance")])
    assert found.option == "Human Resources"
    assert not found.accepted
    assert lookup_entry("dept", [found]) == {"lookup": {"from": "dept", "table": {}}}


def test_the_options_of_a_schema_and_the_lookup_of_a_flow() -> None:
    carrier = {
        "type": "string",
        "oneOf": [{"const": code, "title": title} for code, title in AIRLINES.items()],
    }
    options = options_of(carrier)
    assert options[0] == Option("AA", "American Airlines Inc.")
    assert options_of({"type": ["string", "null"], "enum": ["a", None]}) == (Option("a"),)
    assert options_of({"type": "string"}) == ()
    entry = lookup_entry("airline", classify(["United", "Lufthansa"], options, field="carrier"))
    assert entry == {"lookup": {"from": "airline", "table": {"United": "UA"}}}
    parse_flow(
        {"target_schema": {"properties": {"carrier": carrier}}, "mapper": {"carrier": entry}},
        name="x",
        version="v1",
    )


def test_options_that_are_numbers_stay_numbers() -> None:
    found = classify(["01", "2.0", "-1", "Low"], [Option(1, "low"), Option(2, "high")])
    assert [one.option for one in found] == [1, 2, None, 1]


words = st.sampled_from(
    [*COUNTRIES, *AIRLINES.values(), "NA", "-1", "yes", "no", "T", "not paid", "a", "", "  ", "\u0130", "9"]
)
texts = words | st.text(max_size=12)


@given(
    st.lists(texts, min_size=1, max_size=6, unique=True),
    st.lists(texts.filter(str.strip), min_size=1, max_size=6, unique=True),
)
@settings(max_examples=150, deadline=None)
def test_always_the_same_and_the_option_itself_always(values: list[str], names: list[str]) -> None:
    options = [Option(name) for name in names]
    found = classify(values, options)
    assert found == classify(values, options)
    assert {one.value: one.option for one in found} == {
        one.value: one.option for one in classify(values[::-1], options[::-1])
    }
    for one in classify(names, options):
        assert one.option == one.value
        assert one.accepted


@given(st.sampled_from([pack for pack in alias_packs() if pack.closed]), st.data())
@settings(max_examples=100, deadline=None)
def test_no_name_of_a_pack_is_taken_for_another_thing(pack: object, data: st.DataObject) -> None:
    lines = [
        [name.strip().removeprefix("~") for name in line.split(";")]
        for line in (Path(PROJECT) / f"lume_dagster/generator/aliases/{pack.name}.txt")
        .read_text()
        .splitlines()  # type: ignore[attr-defined]
        if line and not line.startswith(("#", "hints:", "prefixes:", "closed:", "~"))
    ]
    chosen = data.draw(
        st.lists(
            st.sampled_from(lines),
            min_size=3,
            max_size=min(12, len(lines) - 1),
            unique_by=lambda names: names[0],
        )
    )
    options = [names[0] for names in chosen]
    (other,) = data.draw(
        st.lists(st.sampled_from([names for names in lines if names not in chosen]), min_size=1, max_size=1)
    )
    own = {name for names in chosen for name in names}
    hint = sorted(pack.hints)[0]  # type: ignore[attr-defined]
    assert accepted([name for name in other if name not in own], *options, field=hint) == {}


def test_packs_say_where_they_come_from() -> None:
    files = sorted((PROJECT / "lume_dagster/generator/aliases").glob("*.txt"))
    assert len(files) == len(alias_packs()) > 15
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert "Licence:" in text, file.name
        assert "\nhints: " in text, file.name


def test_the_figures_of_the_benchmark_hold() -> None:
    fields = json.loads(CLASSES.read_text())
    for removed in (0.0, 0.25):
        wrong: list[str] = []
        figures = measure_classes(fields, removed=removed, wrong=wrong)
        assert figures.precision >= 0.997, wrong
        assert figures.coverage >= 0.9


def test_the_threshold() -> None:
    assert ACCEPT == 0.97
