"""The pairs of tables on which matching is measured and fitted, each as it is met.

With rows or a schema of the target, by names alone, or without the source's names.

The sets lie in a folder that is named by `--sets` or by the environment variable LUME_BENCHMARKS, else in
`../shared/benchmarks`. Each pair has `source.csv`, `target.csv` and `ground_truth.json`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.matching_pairs import PAIRS
from lume_dagster.generator.matching import Matching, match
from lume_dagster.generator.profile import ColumnProfile, Kind, Profile, profile_column, profile_csv

DEFAULT_FOLDER = Path(__file__).parents[1] / "../shared/benchmarks"
FOLDERS = {
    "fabricated": "fabricated",
    "magellan": "valentine-magellan",
    "wikidata": "valentine-wikidata",
    "smutf": "smutf",
    "gdc": "gdc",
}
"""A set, and its folder; `gdc` has permitted values where the others have rows."""

SETS = (*FOLDERS, "made")
"""All sets; `made` are the described schemas of matching_pairs.py."""

REGIMES = ("rows", "schema", "names", "nameless rows", "nameless schema")
"""What may be known of a pair: see Case."""

_MOST_OPTIONS = 40
_KINDS: dict[Kind, dict[str, str]] = {
    Kind.INTEGER: {"type": "integer"},
    Kind.NUMBER: {"type": "number"},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.DATE: {"type": "string", "format": "date"},
    Kind.DATE_TIME: {"type": "string", "format": "date-time"},
    Kind.URI: {"type": "string", "format": "uri"},
}


@dataclass(frozen=True)
class Case:
    """One pair under one regime.

    Attributes:
        set_name: The set it is of.
        name: Its folder, or the made pair's domain.
        regime: rows (a sample of the target), schema (types and options), or names (nothing else); `nameless rows` and
            `nameless schema` where the source has no names.
        source: The source's sample.
        target_schema: The target.
        sample: The target's sample, under the regime rows.
        truth: Source columns and target fields that belong together.
        folder: Where its files lie; none if it was made.
    """

    set_name: str
    name: str
    regime: str
    source: Profile
    target_schema: dict[str, Any]
    sample: Profile | None
    truth: frozenset[tuple[str, str]]
    folder: Path | None

    @property
    def partners(self) -> int:
        """How many source columns have a true field."""
        return len({source for source, _ in self.truth})

    def match(self) -> Matching:
        """Compare all pairs of columns."""
        return match(self.source, self.target_schema, self.sample)


def sets_folder(option: Path | None) -> Path:
    """Where the sets lie.

    Raises:
        SystemExit: They are not there.
    """
    folder = option or Path(os.environ.get("LUME_BENCHMARKS", DEFAULT_FOLDER))
    if missing := [name for name in FOLDERS.values() if not (folder / name).is_dir()]:
        raise SystemExit(
            f"{folder}: has no {', '.join(missing)}; name the folder of the benchmark sets with --sets or LUME_BENCHMARKS"
        )
    return folder.resolve()


def cases(folder: Path) -> Iterator[Case]:
    """All pairs under all regimes that they can stand for."""
    for set_name, place in FOLDERS.items():
        for pair in sorted(path for path in (folder / place).iterdir() if path.is_dir()):
            yield from _read(set_name, pair)
    for made in PAIRS:
        rows = made.rows()
        columns = tuple(
            profile_column(name, index, [row[index] or None for row in rows])
            for index, (name, _) in enumerate(made.source)
        )
        source = Profile(columns, len(rows), len(rows))
        yield from _named_or_not(
            Case("made", made.name, "schema", source, made.target_schema, None, made.truth, None)
        )
        fields = {"properties": {field: {} for field in made.target_schema["properties"]}}
        yield Case("made", made.name, "names", _bare(source), fields, None, made.truth, None)


def _read(set_name: str, pair: Path) -> Iterator[Case]:
    source, target = profile_csv(pair / "source.csv"), profile_csv(pair / "target.csv")
    matches = json.loads((pair / "ground_truth.json").read_text())["matches"]
    truth = frozenset(
        (one["source"], target_name)
        for one in matches
        for target_name in (one["target"] if isinstance(one["target"], list) else [one["target"]])
    )
    bare = {"properties": {column.name: {} for column in target.columns}}
    if set_name == "gdc":
        options = {
            column.name: {"enum": [value for value, _ in column.values]} if column.values else {}
            for column in target.columns
        }
        yield Case(set_name, pair.name, "schema", source, {"properties": options}, None, truth, pair)
    else:
        yield from _named_or_not(Case(set_name, pair.name, "rows", source, bare, target, truth, pair))
        typed = {"properties": {column.name: _schema(column) for column in target.columns}}
        yield from _named_or_not(Case(set_name, pair.name, "schema", source, typed, None, truth, pair))
    yield Case(set_name, pair.name, "names", _bare(source), bare, None, truth, pair)


def _schema(column: ColumnProfile) -> dict[str, Any]:
    """What a schema would say of a column: its type, and its options where there are few."""
    schema: dict[str, Any] = dict(_KINDS.get(column.kind, {"type": "string"}))
    if column.kind in (Kind.TEXT, Kind.CODE) and column.distinct <= _MOST_OPTIONS:
        schema["enum"] = [value for value, _ in column.values]
    return schema


def _named_or_not(case: Case) -> Iterator[Case]:
    """A case, and the same with a source that has no names."""
    yield case
    given = {column.name: f"column_{column.position + 1}" for column in case.source.columns}
    columns = tuple(replace(column, name=given[column.name]) for column in case.source.columns)
    yield replace(
        case,
        regime=f"nameless {case.regime}",
        source=replace(case.source, columns=columns),
        truth=frozenset((given[source], target) for source, target in case.truth),
    )


def thin(case: Case) -> Case:
    """A case without every second one of the source columns that have a true field: these fields are to be left open."""
    partners = sorted({source for source, _ in case.truth})
    gone = set(partners[1::2])
    columns = tuple(column for column in case.source.columns if column.name not in gone)
    return replace(
        case,
        source=replace(case.source, columns=columns),
        truth=frozenset((source, target) for source, target in case.truth if source not in gone),
    )


def _bare(profile: Profile) -> Profile:
    return Profile(
        tuple(profile_column(column.name, column.position, ()) for column in profile.columns), 0, 0
    )
