from __future__ import annotations

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from lume_dagster.generator.assignment import assign

GAINS = st.dictionaries(
    st.integers(0, 4),
    st.dictionaries(st.integers(0, 4), st.integers(-5, 9).map(float), max_size=5),
    max_size=5,
)


def total(gains: dict[int, dict[int, float]], chosen: dict[int, int]) -> float:
    return sum(gains[row][column] for row, column in chosen.items())


def best(gains: dict[int, dict[int, float]]) -> float:
    """The greatest sum, by trying all."""
    rows = list(gains)
    found = 0.0
    for columns in permutations(range(5), len(rows)):
        pairs = zip(rows, columns, strict=True)
        found = max(found, sum(max(0.0, gains[row].get(column, 0.0)) for row, column in pairs))
    return found


@given(GAINS)
def test_no_assignment_gains_more(gains: dict[int, dict[int, float]]) -> None:
    chosen = assign(gains)
    assert len(set(chosen.values())) == len(chosen)
    assert all(gains[row][column] > 0 for row, column in chosen.items())
    assert total(gains, chosen) == best(gains)


def test_one_gives_way_where_both_together_gain() -> None:
    assert assign({0: {0: 5.0, 1: 4.0}, 1: {0: 4.0}}) == {0: 1, 1: 0}


def test_who_gains_nothing_stays_alone() -> None:
    assert assign({0: {0: -1.0}, 1: {}}) == {}


def test_a_thousand_that_differ_in_nothing_are_assigned_in_no_time() -> None:
    gains = {row: dict.fromkeys(range(1000), 1.0) for row in range(1000)}
    assert len(assign(gains)) >= 25
