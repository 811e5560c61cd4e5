"""Who gets whom: the one-to-one assignment with the greatest sum of gains, in which anyone may stay alone."""

from __future__ import annotations

import math
from collections.abc import Mapping

_MAX_CANDIDATES = 25
_MAX_EXACT = 250


def assign(gains: Mapping[int, Mapping[int, float]]) -> dict[int, int]:
    """Find the best assignment of columns to rows.

    It is exact for groups of up to 250 rows that compete with each other; of a larger group, which names that differ
    in nothing make, the best pair goes first.

    Args:
        gains: For each row the gain of each of its columns; only gains above 0 count.

    Returns:
        Row to column, for those that have one.
    """
    candidates = {
        row: dict(sorted(columns.items(), key=lambda item: (-item[1], item[0]))[:_MAX_CANDIDATES])
        for row, columns in gains.items()
    }
    candidates = {
        row: {column: gain for column, gain in columns.items() if gain > 0}
        for row, columns in candidates.items()
    }
    found: dict[int, int] = {}
    for rows in _components(candidates):
        part = {row: candidates[row] for row in rows}
        found.update(_exact(part) if len(rows) <= _MAX_EXACT else _greedy(part))
    return found


def _components(candidates: Mapping[int, Mapping[int, float]]) -> list[list[int]]:
    """Rows that compete for columns, together."""
    of_column: dict[int, list[int]] = {}
    for row, columns in candidates.items():
        for column in columns:
            of_column.setdefault(column, []).append(row)
    seen: set[int] = set()
    groups = []
    for first in candidates:
        if first in seen:
            continue
        seen.add(first)
        group = [first]
        for row in group:
            for column in candidates[row]:
                for other in of_column.pop(column, ()):
                    if other not in seen:
                        seen.add(other)
                        group.append(other)
        groups.append(sorted(group))
    return groups


def _greedy(candidates: Mapping[int, Mapping[int, float]]) -> dict[int, int]:
    pairs = sorted(
        (-gain, row, column) for row, columns in candidates.items() for column, gain in columns.items()
    )
    found: dict[int, int] = {}
    taken: set[int] = set()
    for _, row, column in pairs:
        if row not in found and column not in taken:
            found[row] = column
            taken.add(column)
    return found


def _exact(candidates: Mapping[int, Mapping[int, float]]) -> dict[int, int]:
    """Kuhn's and Munkres's method with potentials; each row has a column of its own for staying alone."""
    rows = list(candidates)
    columns = sorted({column for part in candidates.values() for column in part})
    place = {column: index for index, column in enumerate(columns)}
    width = len(columns) + len(rows)
    costs = []
    for index, row in enumerate(rows):
        line = [math.inf] * width
        for column, gain in candidates[row].items():
            line[place[column]] = -gain
        line[len(columns) + index] = 0.0
        costs.append(line)
    owner = _solve(costs, width)
    return {rows[row]: columns[column] for column, row in owner.items() if column < len(columns)}


def _solve(costs: list[list[float]], width: int) -> dict[int, int]:
    """The column of each row that makes the sum of costs the least, as column: row."""
    above, aside = [0.0] * len(costs), [0.0] * width
    owner: dict[int, int] = {}
    for start in range(len(costs)):
        slack, came_from = [math.inf] * width, [-1] * width
        done = [False] * width
        row, column = start, -1
        while True:
            nearest, step = -1, math.inf
            for other in range(width):
                if done[other]:
                    continue
                reduced = costs[row][other] - above[row] - aside[other]
                if reduced < slack[other]:
                    slack[other], came_from[other] = reduced, column
                if slack[other] < step:
                    nearest, step = other, slack[other]
            above[start] += step
            for other in range(width):
                if done[other]:
                    above[owner[other]] += step
                    aside[other] -= step
                else:
                    slack[other] -= step
            done[nearest] = True
            column = nearest
            if column not in owner:
                break
            row = owner[column]
        while column != -1:
            before = came_from[column]
            owner[column] = owner[before] if before != -1 else start
            column = before
    return owner
