from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from lume_dagster.engine import Engine
from lume_dagster.generator.demands import sample_pattern, wants_sign
from lume_dagster.generator.drafting import Drafter
from lume_dagster.generator.matching import Proposal, propose
from lume_dagster.generator.profile import profile_table
from lume_dagster.generator.sample import read_sample
from lume_dagster.generator.trial import try_draft

TEXT = {"type": "string"}
NUMBER = {"type": "number"}


def one(source: dict[str, list[str]], field: str, schema: dict[str, Any], description: str) -> Proposal:
    properties = {field: {**schema, "description": description}}
    return propose(profile_table(pa.table(source)), {"properties": properties})[0]


@pytest.mark.parametrize(
    ("source", "field", "schema", "description", "said"),
    [
        ({"Amount": ["5.00", "6.00"]}, "amount", NUMBER, "Negative for debits.", "negative numbers"),
        ({"created": ["2024-01-02 10:00"] * 2}, "created", TEXT, "Moment, in UTC.", "UTC"),
        ({"order_date": ["2024-01-02", "2024-02-03"]}, "order_date", TEXT, "As DD.MM.YYYY.", "DD.MM.YYYY"),
        ({"order_date": ["2024-01-02", "2024-02-03"]}, "order_date", TEXT, "The weekday.", "weekday"),
        ({"Country": ["Spain", "Italy"]}, "country", TEXT, "In upper case.", "capital letters"),
        ({"Phone": ["030 1234", "040 5678"]}, "phone", TEXT, "By E.164.", "E.164"),
        ({"Code": ["AB-1", "CD-2"]}, "code", TEXT, "In the form X/0.", "form"),
        ({"Code": ["AB-1", "CD-2"]}, "code", TEXT, "Code, such as 12-AB.", "shows a value"),
        ({"Phone": ["1234", "5678"]}, "phone", TEXT, "In international format.", "form"),
        ({"Country": ["Spain", "Italy"]}, "country", TEXT, "ISO 3166 code.", "ISO 3166"),
        ({"Country": ["Spain", "Italy"]}, "country", TEXT, "Two-letter code.", "two-letter"),
        ({"Card Number": ["4111111111111111"]}, "card_number", TEXT, "Last four digits.", "four digits"),
        ({"order_date": ["03/04/2024", "05/06/2024"]}, "order_date", TEXT, "As DD/MM/YYYY.", "MM/DD/YYYY"),
        ({"order_date": ["10/27/2024", "02/13/2024"]}, "order_date", TEXT, "As DD/MM/YYYY.", "DD/MM/YYYY"),
        ({"Order Date": ["2024-01-02", "2024-02-03"]}, "order_month", {"type": "integer"}, "Months since it.", "since"),
        ({"Straße": ["Oak", "Elm"], "Hausnr": ["5", "6"]}, "street", TEXT, "Straße mit Hausnummer.", "Hausnr"),
        ({"Phone": ["1234", "5678"]}, "phone", TEXT, "With country code.", "country code"),
        ({"Street": ["Oak", "Elm"]}, "street", TEXT, "Street, including house number.", "house number"),
        ({"Phone": ["1234", "5678"], "Area": ["030", "040"]}, "phone", TEXT, "With area code.", "Area"),
        ({"Amount": ["5", "6"], "Currency": ["EUR", "USD"]}, "amount", TEXT, "Amount and currency.", "Currency"),
        (
            {"Street": ["Oak 5", "Elm 7"], "City": ["Rome", "Bonn"], "Zip": ["00100", "53111"]},
            "address", TEXT, "Full postal address.", "City and Zip",
        ),
        ({"Currency Pair": ["EUR/USD", "GBP/USD"]}, "currency", TEXT, "", "pair"),
    ],
)  # fmt: skip
def test_what_a_description_wants_and_no_column_gives_marks_the_field(
    source: dict[str, list[str]], field: str, schema: dict[str, Any], description: str, said: str
) -> None:
    found = one(source, field, schema, description)
    assert found.operation is not None
    assert not found.accepted
    assert any(said in note for note in found.notes)


@pytest.mark.parametrize(
    ("source", "field", "schema", "description"),
    [
        ({"Amount": ["5.00", "-6.00"]}, "amount", NUMBER, "Negative for debits."),
        ({"Amount": ["5.00", "6.00"]}, "amount", NUMBER, "Never negative."),
        ({"created": ["2024-01-02T10:00:00Z"] * 2}, "created", TEXT, "Moment, in UTC."),
        ({"order_date": ["2024-01-02", "2024-02-03"]}, "order_date", TEXT, "As YYYY-MM-DD."),
        ({"Weekday": ["Monday", "Friday"]}, "weekday", TEXT, "Weekday of the order."),
        ({"Country": ["SPAIN", "ITALY"]}, "country", TEXT, "In upper case."),
        ({"Phone": ["+49 30 1234", "+33 5678"]}, "phone", TEXT, "With country code."),
        ({"Street": ["Oak 5", "Elm 7b"]}, "street", TEXT, "Street with house number."),
        ({"Customer Name": ["Ada Abt", "Ben Bauer"]}, "customer_name", TEXT, "Full name of the customer."),
        ({"Amount": ["5", "6"], "Customer": ["Ada", "Ben"]}, "amount", NUMBER, "What the customer paid with a card."),
        ({"Rain": ["5.1", "6.0"]}, "rain", NUMBER, "Rain in mm."),
        ({"Code": ["AB-1", "CD-2"]}, "code", TEXT, "Code, such as XY-12."),
        ({"Code": ["AB-1", "CD-2"]}, "code", TEXT, "Its first two letters are the country."),
        ({"Country": ["ES", "IT"]}, "country", TEXT, "ISO 3166 two-letter code."),
        ({"order_date": ["13/04/2024", "27/06/2024"]}, "order_date", TEXT, "As DD/MM/YYYY."),
        ({"Balance": ["5", "6"]}, "balance", {"type": "number", "minimum": 0}, "Negative is an error."),
    ],
)  # fmt: skip
def test_what_the_values_show_or_nobody_asks_for_marks_nothing(
    source: dict[str, list[str]], field: str, schema: dict[str, Any], description: str
) -> None:
    found = one(source, field, schema, description)
    assert found.notes == ()
    assert found.accepted


def test_a_form_of_a_month_that_is_shown_is_made() -> None:
    found = one({"Order Date": ["2024-01-02", "2024-02-03"]}, "order_month", TEXT, "Month, as YYYY-MM.")
    assert found.operation is not None
    assert found.operation["regex"]["pattern"] == "^([0-9]{4}-[0-9]{2})-"
    assert found.accepted


def test_notes_repeat_no_value() -> None:
    found = one({"Phone": ["7-secret", "8-secret"]}, "phone", TEXT, "With country code, by E.164.")
    assert len(found.notes) == 2
    assert not any("secret" in note for note in found.notes)


def test_a_pattern_that_would_take_for_ever_is_matched_in_bounded_time() -> None:
    source = {"Code": ["A" * 60 + "-1", "A" * 70 + "-2"]}
    schema = TEXT | {"pattern": "^(A+)+$"}
    assert not one(source, "code", schema, "In the form of the list.").accepted
    assert one(source, "code", TEXT | {"pattern": "^A+-[0-9]$"}, "In the form of the list.").notes == ()


def test_a_long_description_is_cut() -> None:
    source = {"Amount": ["5.00", "6.00"], "Dr/Cr": ["D", "C"]}
    found = one(source, "amount", NUMBER, "The amount. " + "debit credit " * 100_000 + "negative")
    assert found.sources == ("Amount",)


def test_a_form_and_a_sign_are_told_from_other_words() -> None:
    assert sample_pattern("Month (YYYY-MM), of the order") == "YYYY-MM"
    assert sample_pattern("Rain in mm, of the day") is None
    assert wants_sign("Signed amount; debits are negative")
    assert not wants_sign("Day on which it was signed")
    assert not wants_sign("A non-negative number")


def test_a_sign_of_its_own_is_no_text_for_an_absent_value(tmp_path: Any) -> None:
    path = tmp_path / "batch.csv"
    path.write_text("Amount,Sign,Fee\n5.00,-,-\n6.00,+,1.00\n7.00,-,2.00\n", encoding="utf-8")
    properties = {
        "amount": {"type": "number", "description": "Signed amount."},
        "fee": {"type": ["number", "null"]},
    }
    with Engine() as engine:
        sample = read_sample(engine, str(path), {}, tmp_path)
        draft = Drafter(sample, {"type": "object", "properties": properties}).draft()
        draft, trial = try_draft(engine, draft, sample)
    assert draft.field("amount").accepted
    # The first record is rejected for its fee: better than an amount that has lost its sign.
    assert trial.after["amount"] == ("6.0", "-7.0")
    assert "null_values" not in draft.source
