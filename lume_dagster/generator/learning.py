"""The next version of a flow, whose lookups know the values that runs rejected.

A value that no lookup knew, or that was none of a field's options, is classified by the rules by which a flow is
drafted. What is taken over goes into the table of the field's lookup; all else of the file stays as it is, comments
included.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from lume_dagster.engine import FlowError, FlowVersion
from lume_dagster.engine.yaml_document import parse_yaml
from lume_dagster.generator.classification import Classification, classify, options_of
from lume_dagster.generator.flow_file import FlowDumper

REJECT_TYPES = ("lookup", "enum")
"""The types of errors that a value not known causes."""


@dataclass(frozen=True)
class Learned:
    """A rejected value, and what it means.

    Attributes:
        field: The target field.
        records: How many rejects have it.
        found: The option it means, if any, and how sure that is.
    """

    field: str
    records: int
    found: Classification


def learn(flow: FlowVersion, rejected: Mapping[tuple[str, str], int]) -> tuple[Learned, ...]:
    """Classify values that a flow version rejected.

    Args:
        flow: The flow version.
        rejected: How many rejects there are for each target field and source value.

    Returns:
        One finding a value of a field that has options and a lookup of its own or an `extract`; the others cannot be
        learned. By field, the most frequent value first.
    """
    learned = []
    for field, schema in _fields(flow.target_schema, ""):
        options = options_of(schema)
        entry = flow.mapper.get(field, {})
        known = entry.get("lookup", {}).get("table", {})
        new = {
            value: count for (name, value), count in rejected.items() if name == field and value not in known
        }
        if not (options and new) or _source(entry) is None:
            continue
        # They are looked at together with those that are known.
        values = list(dict.fromkeys([*known, *new]))
        classes = classify(values, options, field=field, description=str(schema.get("description", "")))
        learned += [Learned(field, new[one.value], one) for one in classes if one.value in new]
    return tuple(sorted(learned, key=lambda one: (one.field, -one.records, one.found.value)))


def next_version(text: str, flow: FlowVersion, learned: Iterable[Learned]) -> str:
    """The text of a flow file whose lookups know more values.

    Args:
        text: The file of the flow version.
        flow: What it says.
        learned: What is taken over; each with an option.

    Raises:
        FlowError: A lookup has its table in a file of its own.
    """
    document = parse_yaml(text, flow.flow_version)
    schemas = dict(_fields(flow.target_schema, ""))
    taken: dict[str, dict[str, Any]] = {}
    for one in learned:
        taken.setdefault(one.field, {})[one.found.value] = one.found.option
    wanted = copy.deepcopy(document)
    edits: list[tuple[int, int, str]] = []
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    for field, new in taken.items():
        entry = wanted["mapper"][field]
        if "lookup" in entry and "table" not in entry["lookup"]:
            raise FlowError(
                flow.flow_version,
                f"/mapper/{field}/lookup/file",
                f"its table lies in {entry['lookup']['file']}; add the values to a copy of that file by hand",
            )
        if "lookup" in entry:
            entry["lookup"]["table"].update(new)
            edits.append(_added(text, _node(root, "mapper", field, "lookup", "table"), new))
        else:
            table = {option.text: option.value for option in options_of(schemas[field])} | new
            column = entry.pop("extract")
            wanted["mapper"][field] = {"lookup": {"from": column, "table": table}, **entry}
            node = _node(root, "mapper", field)
            edits.append((node.start_mark.index, _end(text, node), _flow_style(wanted["mapper"][field])))
    changed = text
    for start, end, put in sorted(edits, reverse=True):
        changed = changed[:start] + put + changed[end:]
    if parse_yaml(changed, flow.flow_version) != wanted:
        raise FlowError(
            flow.flow_version, "/mapper", "the values cannot be put into the file; add them by hand"
        )
    return changed


def _fields(schema: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for name, inner in schema.get("properties", {}).items():
        if inner.get("properties"):
            yield from _fields(inner, f"{prefix}{name}.")
        else:
            yield prefix + name, inner


def _source(entry: Mapping[str, Any]) -> str | None:
    """The column whose texts an entry takes as they are; None if there is no such one."""
    if entry.get("steps"):
        return None
    source = entry.get("extract", entry.get("lookup", {}).get("from"))
    return source if isinstance(source, str) else None


def _node(node: Any, *path: str) -> Any:
    for part in path:
        node = next(value for key, value in node.value if key.value == part)
    return node


def _added(text: str, table: Any, new: Mapping[str, Any]) -> tuple[int, int, str]:
    """Where to put entries into a table, and as what: in the style in which it is written."""
    if table.flow_style or not table.value:
        end = text.rindex("}", 0, table.end_mark.index)
        before = text[table.start_mark.index + 1 : end].rstrip()
        comma = ", " if before and not before.endswith(",") else ""
        return end, end, comma + ", ".join(_pair(value, option) for value, option in new.items())
    indent = " " * table.value[0][0].start_mark.column
    last = table.value[-1][1]
    end = text.find("\n", last.end_mark.index)
    end = len(text) if end < 0 else end
    lines = (f"\n{indent}{_pair(value, option)}" for value, option in new.items())
    return end, end, "".join(lines)


def _end(text: str, node: Any) -> int:
    """Where a node ends, without the blanks and line breaks that a block takes along."""
    start: int = node.start_mark.index
    return start + len(text[start : node.end_mark.index].rstrip())


def _pair(key: str, value: Any) -> str:
    """An entry of a mapping, on one line in either style."""
    written = _flow_style({key: value})[1:-1]
    if not written.startswith("?") and "\n" not in written:
        return written
    plain = _flow_style({"k": value})[1:-1].removeprefix("k")
    quoted = "".join(
        char if char.isprintable() and char not in '"\\' else f"\\U{ord(char):08x}" for char in key
    )
    return f'"{quoted}"{plain}'


def _flow_style(value: dict[str, Any]) -> str:
    dumped: str = yaml.dump(
        value,
        Dumper=FlowDumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=True,
        width=1_000_000,
    )
    return dumped.strip()
