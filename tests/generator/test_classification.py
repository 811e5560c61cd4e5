"""Values into options: what is found, what is never taken for something else, and that it is always the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.matching_values import measure_classes
from lume_dagster.engine import parse_flow
from lume_dagster.generator import classification
from lume_dagster.generator.aliases import alias_packs
from lume_dagster.generator.classification import ACCEPT, Option, classify, lookup_entry, options_of
from lume_dagster.generator.option_labels import STEPS, Label, Step, make_setting
from lume_dagster.generator.text_key import words
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


@pytest.mark.parametrize(
    ("options", "sure"),
    [
        (("CG", "CD"), {}),
        (("CG", "DE"), {"Congo": "CG"}),
        (("Congo", "Congo, The Democratic Republic of the"), {"Congo": "Congo"}),
    ],
)
def test_a_name_of_two_countries_needs_that_one_alone_is_an_option(
    options: tuple[str, ...], sure: dict[str, str]
) -> None:
    assert accepted(["Congo"], *options, field="country") == sure
    assert accepted(["Congoo"], "CG", "CD", field="country") == {}


@pytest.mark.parametrize("rival", ["AUD", "CAD", "HKD", "MXN"])
def test_a_sign_of_several_currencies_needs_that_one_alone_is_an_option(rival: str) -> None:
    assert accepted(["$", "US$"], "USD", "EUR", rival, field="currency") == {"US$": "USD"}
    assert accepted(["$"], "USD", "EUR", "GBP", field="currency") == {"$": "USD"}


@pytest.mark.parametrize("value", ["Done?", "done ??", "~done", "!done", "≠ done", "Mark?"])
def test_a_sign_of_doubt_leaves_a_suggestion(value: str) -> None:
    (found,) = classify([value], [Option("done"), Option("mark")], field="state")
    assert (found.option, found.accepted) == ("mark" if "Mark" in value else "done", False)
    assert accepted(["Done?"], "done?", "open") == {"Done?": "done?"}


@pytest.mark.parametrize(
    ("options", "sure"),
    [
        (("7", "007", "1", "00"), {"7": "7", "007": "007"}),
        (("07", "10"), {"7": "07", "7.0": "07", "07": "07", "10": "10", "10.0": "10"}),
        (("007", "010"), {"7": "007", "7.0": "007", "007": "007", "10": "010", "10.0": "010", "010": "010"}),
        (("7", "10"), {"7": "7", "7.0": "7", "07": "7", "007": "7", "10": "10", "10.0": "10", "010": "10"}),
        (("7", "010"), {"7": "7", "010": "010"}),
    ],
)
def test_leading_zeros_count_where_options_have_some(options: tuple[str, ...], sure: dict[str, str]) -> None:
    assert accepted(["7", "7.0", "07", "007", "10", "10.0", "010", "001", "0"], *options) == sure


def test_departments_go_by_their_short_forms() -> None:
    options = ("Human Resources", "Finance", "Engineering", "Marketing")
    values = ["HR", "Fin", "Eng", "Mktg", "IT", "H.R.", "English"]
    assert accepted(values, *options, field="department") == {
        "HR": "Human Resources", "Fin": "Finance", "Eng": "Engineering", "Mktg": "Marketing", "H.R.": "Human Resources",
    }  # fmt: skip
    assert accepted(["Eng", "Engineering"], "English", "Engineering", "History", field="department") == {
        "Engineering": "Engineering"
    }


def test_likely_ones_are_only_suggested() -> None:
    (found,) = classify(["CF"], [Option("Cash Flow"), Option("Profit")])
    assert found.option == "Cash Flow"
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


texts = st.sampled_from(
    [*COUNTRIES, *AIRLINES.values(), "NA", "-1", "yes", "no", "T", "not paid", "a", "", "  ", "\u0130", "9"]
) | st.text(max_size=12)


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


@given(st.data(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_labels_that_share_no_key_are_not_alike(data: st.DataObject, closed: bool) -> None:
    known = "air airlines united untied jet blue of and r d rd department dept orders order 10 1000 10005 grey gray"
    word = st.sampled_from(known.split()) | st.text("abdr1é", min_size=1, max_size=5)
    phrase = st.lists(word, min_size=1, max_size=3).map(" ".join) | st.sampled_from(
        ["R&D", "Comp. Sci.", "U.S."]
    )
    labels = tuple(
        Label(at, text, words(text)) for at, text in enumerate(data.draw(st.lists(phrase, max_size=6)))
    )
    setting = make_setting(labels, "air department", closed=closed)
    value = data.draw(
        phrase | st.sampled_from(labels).map(lambda label: label.text[:-1] or "x") if labels else phrase
    )
    spoken = words(value)
    for step in STEPS:
        keys = set(step.keys(spoken, setting))
        for label in labels:
            if step.likeness(spoken, value, label, setting):
                assert keys & set(step.keys(label.words, setting)), (step.name, label)


def test_a_value_is_compared_with_few_names(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0

    def counted(step: Step) -> Step:
        def likeness(*given: Any) -> float:
            nonlocal compared
            compared += 1
            return step.likeness(*given)

        return replace(step, likeness=likeness)

    monkeypatch.setattr(classification, "STEPS", tuple(map(counted, STEPS)))
    values = [f"{first}{last}s order {last}" for first in ("alpha", "gross", "ship") for last in range(100)]
    assert accepted(values, "DE", "FR", "US", field="country") == {}
    assert compared < 10 * len(values)


@given(st.sampled_from([pack for pack in alias_packs() if pack.closed]), st.data())
@settings(max_examples=100, deadline=None)
def test_no_name_of_a_pack_is_taken_for_another_thing(pack: object, data: st.DataObject) -> None:
    lines = [
        [name.strip().removeprefix("~") for name in line.split(";") if not name.strip().startswith("?")]
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
