"""The arithmetic language."""

from __future__ import annotations

import pytest

from lume_dagster.engine.expression import ExpressionProblem, operands_of, parse_expression
from lume_dagster.engine.plan import Column, Convert, Field, Parse
from lume_dagster.engine.values import ValueType
from tests.engine.conftest import Run, document, one_field

NUMBER = {"type": ["number", "null"]}
TYPES = {"n": ValueType.INTEGER, "my text": ValueType.TEXT, "d": ValueType.DATE, "l": ValueType.LIST}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a + b * 2", 13.0),
        ("(a + b) * 2", 16.0),
        ("a - b - 1", -3.0),
        ("a / b / 2", 0.3),
        ("--a", 3.0),
        ("-a * -b", 15.0),
        ('"a" + "odd ""name"""', 10.0),
        ("round(a * 1.609344, 2)", 4.83),
        ("round(b / 2)", 3.0),
        ("round * 2", 18.0),
        ("1.5e1", 15.0),
    ],
)
def test_values(run: Run, text: str, value: float) -> None:
    outcome = run(one_field(NUMBER, {"expression": text}), 'a,b,"odd ""name""",round\n3,5,7,9\n')
    assert outcome.mapped == [{"x": pytest.approx(value)}]


@pytest.mark.parametrize(
    "text",
    ["", "a +", "a b", "(a", "a)", "round(a", "round(a, 16)", "round(a, b)", "1e999", "a; b", "'x'", "a ** 2", "f(a)",
     "target(x)", "target(d) + 1", "target(l)", "target(n", "target(1)", "target('n')", "target(n + 1)", "target()",
     "SELECT 1", "a -- b; DROP TABLE x", "\u0661", '""', "(" * 100 + "a" + ")" * 100, "a+" * 2000 + "a"],
)  # fmt: skip
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(ExpressionProblem):
        parse_expression(text, TYPES)


def test_what_is_read_in_the_order_of_first_use() -> None:
    number = ValueType.NUMBER
    assert operands_of(
        parse_expression('b * (target(n) + round(b)) - target("my text") * target', TYPES)
    ) == (
        Parse(Column("b"), number),
        Convert(Field("n", ValueType.INTEGER), number),
        Parse(Field("my text", ValueType.TEXT), number),
        Parse(Column("target"), number),
    )


def test_target_fields_in_expressions_and_templates(run: Run) -> None:
    properties = {
        "net": NUMBER,
        "n": {"type": ["integer", "null"]},
        "word": {"type": ["string", "null"]},
        "sum": NUMBER,
        "said": {"type": ["string", "null"]},
    }
    mapper = {
        "net": {"expression": "a / 2"},
        "n": {"extract": "b"},
        "word": {"extract": "c"},
        "sum": {"expression": "target(net) * target(n) + target(word) + a"},
        "said": {"template": "{target(net)} of {c}{{target(n)}}: {target(n)}"},
    }
    outcome = run(document(properties, mapper), "a,b,c\n3,2,1\n3,2,x\n3,,1\nx,2,1\n")
    assert [(row["sum"], row["said"]) for row in outcome.mapped] == [
        (7.0, "1.5 of 1{target(n)}: 2"),
        (None, None),
    ]
    assert outcome.errors == {2: [("sum", "type", "x")], 4: [("net", "type", "x")]}


def test_bad_inputs_are_type_errors(run: Run) -> None:
    outcome = run(one_field(NUMBER, {"expression": "a / b"}), "a,b\nx,1\n1,y\n1,0\n1e308,1e-308\n,x\n,1\n")
    assert {row: errors[0][1] for row, errors in outcome.errors.items()} == dict.fromkeys(
        [1, 2, 3, 4, 5], "type"
    )
    assert outcome.mapped == [{"x": None}]
