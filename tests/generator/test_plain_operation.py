"""Mapper entries in words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lume_dagster.generator.advice import FORMS
from lume_dagster.generator.plain_operation import in_words


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"extract": "Order ID"}, "Order ID"),
        ({"extract": {"target": "id"}, "default": "x"}, 'field id, default "x"'),
        ({"constant": None}, "left empty"),
        ({"constant": 4}, "4"),
        ({"lookup": {"from": "Country", "table": {"Germany": "DE"}}}, "Country by a table of 1 value"),
        ({"lookup": {"from": "Country", "file": "a.csv"}}, 'Country as lookup, file "a.csv"'),
        ({"concat": ["First", {"text": "-"}, "Last"], "separator": " "}, 'First + "-" + Last, separator " "'),
        ({"date": {"year": "Y", "month": "M", "day": "D"}}, "Y, M, D as date"),
        (
            {"number": {"from": "A", "decimal": ",", "currency": ["€", "EUR"]}},
            'A as number, decimal ",", currency € or EUR',
        ),
        ({"expression": "dist * 1.609344"}, "dist * 1.609344"),
        ({"uuid": {"of": ["A", {"target": "b"}]}}, "A, field b as uuid"),
    ],
)
def test_an_entry_in_words(entry: dict[str, Any], words: str) -> None:
    assert in_words(entry) == words


def test_no_form_of_the_language_is_left_out() -> None:
    for form in FORMS:
        words = in_words(form)
        assert "COLUMN" in words
        assert words != json.dumps(form)
