from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lume_dagster.generator.names import NameEvidence, NameWeights, compare_names, parse_name, words


def compare(left: str, right: str, *others: str) -> NameEvidence:
    one, other = parse_name(left), parse_name(right)
    rest = [parse_name(name) for name in others]
    return compare_names(one, other, NameWeights([one, *rest]), NameWeights([other, *rest]))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("customer_id", ("customer", "id")),
        ("customerID", ("customer", "id")),
        ("CustomerIDNumber", ("customer", "id", "number")),
        ("HTTPStatus", ("http", "status")),
        ("address2", ("address", "2")),
        ("  E-Mail  ", ("e", "mail")),
        ("Größe", ("grosse",)),
        ("prénom", ("prenom",)),
        ("發布日期", ("published", "date")),
        ("", ()),
        ("___", ()),
    ],
)
def test_a_name_is_taken_apart(text: str, found: tuple[str, ...]) -> None:
    assert words(text) == found


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("cust_nm", "customer_name"),
        ("dob", "date_of_birth"),
        ("qty", "quantity"),
        ("tailnum", "tail_number"),
        ("Acclrtn", "acceleration"),
        ("zip", "postal_code"),
        ("surname", "last_name"),
        ("NChildren", "number_of_children"),
        ("標題", "title"),
        ("Nachname", "family_name"),
        ("hrspwr", "horsepower"),
        ("lost_to_follow_up", "lostToFollowup"),
        ("poc", "point_of_care"),
        ("amt_incl_vat", "gross_amount"),
        ("BP_sys", "systolic_pressure"),
        ("PurchaseTimestamp", "ordered_at"),
        ("Hire Date", "hired_on"),
        ("amt_excl_vat", "net_amount"),
    ],
)
def test_names_of_the_same_thing_are_alike(left: str, right: str) -> None:
    assert compare(left, right).common > 0.65


@pytest.mark.parametrize(
    ("left", "right"),
    [("order_date", "ship_city"), ("price", "first_name"), ("latitude", "invoice_number"), ("a", "z")],
)
def test_names_of_other_things_are_not(left: str, right: str) -> None:
    assert compare(left, right).common < 0.4


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("first_name", "last_name"),
        ("dep_delay", "arr_delay"),
        ("start_date", "end_date"),
        ("min_temp", "max_temp"),
        ("billing_city", "shipping_city"),
        ("net_amt", "gross_amount"),
        ("Unsubscribed", "is_subscribed"),
        ("not_active", "active"),
        ("non_smoker", "smoker"),
        ("no_show", "show"),
        ("without_insurance", "insurance"),
        ("tax_exempt", "taxable"),
        ("price_excl_tax", "price_incl_tax"),
        ("sales_2022", "sales_2023"),
        ("address_line_2", "address_line_1"),
        ("previous_balance", "balance"),
        ("Number of Employees", "employee_number"),
    ],
)
def test_words_that_exclude_each_other_are_seen(left: str, right: str) -> None:
    assert compare(left, right).opposed
    assert not compare(left, left).opposed


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("order_no", "order_number"),
        ("no_of_items", "number_of_items"),
        ("actual_departure", "departure"),
        ("freight", "shipping_cost"),
        ("sales_2022", "turnover_2022"),
        ("index", "index_no"),
    ],
)
def test_words_that_do_not_exclude_each_other_are_let_be(left: str, right: str) -> None:
    assert not compare(left, right).opposed


@pytest.mark.parametrize(
    ("left", "right", "apart"),
    [
        ("ship_date", "order_date", True),
        ("shipment_date", "shipped_on", False),
        ("email", "work_email", False),
        ("quality", "quantity", True),
        ("hrspwr", "horsepower", False),
    ],
)
def test_each_name_may_have_words_of_its_own(left: str, right: str, apart: bool) -> None:
    assert (compare(left, right).differs > 0.3) is apart


@pytest.mark.parametrize(
    "text", ["column_3", "Column1", "col 12", "Unnamed: 0", "V1", "_c0", "F2", "7", "Spalte3", "untitled"]
)
def test_what_a_tool_puts_where_there_is_no_name_is_like_no_name(text: str) -> None:
    assert compare(text, "column_count").common == 0
    assert compare(text, text).exact


@pytest.mark.parametrize("text", ["variable", "field", "v", "2013", "column_count", "var_name", "xray1"])
def test_a_name_that_a_person_gave_is_one(text: str) -> None:
    assert not parse_name(text).is_given


def test_a_word_that_each_column_has_says_little() -> None:
    others = [f"patient_{word}" for word in ("name", "age", "weight", "height", "city")]
    assert (
        compare("patient_age", "patient_name", *others).common < compare("patient_age", "age", *others).common
    )


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_names_can_be_compared(left: str, right: str) -> None:
    found, back = compare(left, right), compare(right, left)
    for figure in ("common", "contained", "differs"):
        assert 0 <= getattr(found, figure) <= 1
    assert found.exact == back.exact
    assert found.opposed == back.opposed
    assert compare(left, left).common == 1.0
