"""JSON Schema's patterns in RE2's dialect."""

from __future__ import annotations

import duckdb
import pytest

from lume_dagster.engine.pattern import PatternProblem, translate


def found(pattern: str, text: str) -> bool:
    with duckdb.connect() as connection:
        row = connection.execute("SELECT regexp_matches($1, $2)", [text, translate(pattern)]).fetchone()
    return bool(row and row[0])


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("b", "abc", "ac"),
        ("^a$", "a", "a\n"),
        ("^a.b$", "a\u0085b", "a\u2028b"),
        ("^a.b$", "axb", "a\rb"),
        (r"^\s$", "\u00a0", "x"),
        (r"^[\s,]+$", "\u3000,", "x"),
        (r"^\S$", "x", "\ufeff"),
        (r"^\d$", "5", "\u0665"),
        (r"^\w$", "a", "\u00e9"),
        (r"^\p{Lu}$", "\u00c9", "\u00e9"),
        (r"^[^\d]$", "a", "1"),
        (r"^[a[]$", "[", "b"),
        (r"^\/\-$", "/-", "x"),
        (r"^(?:a|b){2,3}$", "aba", "a"),
        (r"^[\x41-\x43]$", "B", "D"),
    ],
)
def test_means_what_json_schema_means(pattern: str, yes: str, no: str) -> None:
    assert found(pattern, yes)
    assert not found(pattern, no)


@pytest.mark.parametrize(
    "pattern",
    [r"(?=a)", r"(?!a)", r"(?<=a)b", r"(a)\1", r"(?i)a", r"(?P<n>a)", r"\Aa", r"a\z", r"a\Z", r"\Qa\E", "[]a]",
     "[^]a]", r"[\S]", r"\p{Greek}", r"\pL", r"\u0041", r"\cA", r"\0", "a{0,1001}", "a**", "(a", "[a", r"a\\"[:-1],
     r"[\b]"],
)  # fmt: skip
def test_what_re2_lacks_or_reads_in_another_way_is_refused(pattern: str) -> None:
    with pytest.raises(PatternProblem):
        translate(pattern)


def test_a_pattern_that_explodes_elsewhere_is_quick() -> None:
    assert not found("^(a+)+$", "a" * 50_000 + "b")
