"""Load flow versions from their files."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lume_dagster.engine import document as doc
from lume_dagster.engine.errors import FlowError
from lume_dagster.engine.plan import Column, Field, Plan
from lume_dagster.engine.planner import make_plan, scalar_text
from lume_dagster.engine.schema import TargetSchema, read_target_schema
from lume_dagster.engine.yaml_document import check_json, join, parse_yaml, read_text

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_VERSION = re.compile(r"v[1-9][0-9]{0,5}")
FLOW_VERSION = re.compile(f"(?P<name>{_NAME.pattern}):(?P<version>{_VERSION.pattern})")
"""The name of a flow version, `flights:v1`."""
_FINGERPRINT_FORMAT = 1


@dataclass(frozen=True)
class FlowVersion:
    """An immutable snapshot of a flow: same input, same output.

    Attributes:
        name: The flow's name, `flights`.
        version: `v1`.
        description: The author's words.
        source: How a batch is read.
        target: Where the results go.
        target_schema: The JSON Schema of one target record, as it was written.
        mapper: The mapper as JSON data, lookup files included.
        rules: The conditions across target fields as JSON data.
        fingerprint: SHA-256 (hex) of all that the flow version says; comments and layout do not count.
        lineage: For each target field the source columns it comes from.
        source_columns: The columns the mapper reads.
        schema: The target schema, read.
        plan: What is computed.
    """

    name: str
    version: str
    description: str
    source: doc.SourceSpec
    target: doc.TargetSpec
    target_schema: dict[str, Any]
    mapper: dict[str, Any]
    rules: list[dict[str, Any]]
    fingerprint: str
    lineage: dict[str, list[str]]
    source_columns: tuple[str, ...]
    schema: TargetSchema = field(repr=False)
    plan: Plan = field(repr=False)

    @property
    def flow_version(self) -> str:
        """Name and version as the API writes them: `flights:v1`."""
        return f"{self.name}:{self.version}"


def load_flow(path: str | Path) -> FlowVersion:
    """Load a flow version from `<flows>/<flow>/v<N>.yaml`; folder and file give its name and version.

    Args:
        path: The file.

    Raises:
        FlowError: The file cannot be read or says something that is not possible.

    Example:
        >>> load_flow("flows/flights/v1.yaml").flow_version
        'flights:v1'
    """
    file = Path(path)
    if file.suffix != ".yaml" or not _VERSION.fullmatch(file.stem):
        raise FlowError(str(file), "", "a flow version is a file named v1.yaml, v2.yaml, ...")
    return parse_flow(
        parse_yaml(read_text(file), str(file)),
        name=file.absolute().parent.name,
        version=file.stem,
        path=str(file),
        folder=file.parent,
    )


def parse_flow(
    document: Any, *, name: str, version: str, path: str = "<flow>", folder: Path | None = None
) -> FlowVersion:
    """Make a flow version of a document that is already read.

    Args:
        document: The document as JSON data.
        name: The flow's name.
        version: Its version, `v1`.
        path: What to call the document in messages.
        folder: Where lookup files lie; without it none can be named.

    Raises:
        FlowError: The document says something that is not possible.
    """
    if not _NAME.fullmatch(name):
        raise FlowError(path, "", f"{name!r} is no flow name: use letters, digits, hyphens and underscores")
    if not _VERSION.fullmatch(version):
        raise FlowError(path, "", f"{version!r} is no version: use v1, v2, ...")
    check_json(document, path, "")
    if not isinstance(document, dict):
        raise FlowError(path, "", "must be a mapping with the keys target_schema and mapper")
    try:
        flow = doc.FlowDocument.model_validate(document)
    except ValidationError as error:
        raise _flow_error(path, error) from error
    schema = read_target_schema(flow.target_schema, path=path, pointer="/target_schema")
    tables = {
        target: _table(entry.lookup, path, join("/mapper", target, "lookup"), folder)
        for target, entry in flow.mapper.items()
        if isinstance(entry, doc.LookupEntry)
    }
    plan = make_plan(flow, schema, tables, path)
    mapper = {target: _as_json(entry, tables.get(target)) for target, entry in flow.mapper.items()}
    lineage = _lineage(plan)
    return FlowVersion(
        name=name,
        version=version,
        description=flow.description,
        source=flow.source,
        target=flow.target,
        target_schema=flow.target_schema,
        mapper=mapper,
        rules=[rule.model_dump(mode="json", exclude_defaults=True) for rule in flow.rules],
        fingerprint=_fingerprint(flow, mapper),
        lineage=lineage,
        source_columns=tuple(dict.fromkeys(column for target in plan.order for column in lineage[target])),
        schema=schema,
        plan=plan,
    )


def flow_json_schema() -> dict[str, Any]:
    """The JSON Schema of a flow file, for editors that complete and check YAML."""
    return doc.FlowDocument.model_json_schema(by_alias=True)


def _flow_error(path: str, error: ValidationError) -> FlowError:
    """The first of pydantic's findings, with the place in the author's words."""
    found = error.errors(include_url=False, include_context=False)[0]
    place = [part for part in found["loc"] if not str(part).startswith(doc.TAG)]
    pointer = join("", *place)
    said = str(found["msg"]).removeprefix("Value error, ")
    if found["type"] == "extra_forbidden":
        said = f"the key {place[-1]!r} is not known here; take it out"
    elif found["type"] == "missing":
        said = f"the key {place[-1]!r} is missing"
    elif found["type"] == "operation":
        keys = (
            ", ".join(map(repr, found["input"])) if isinstance(found["input"], dict) else repr(found["input"])
        )
        said = f"{said}; found {keys}"
    return FlowError(path, pointer, said)


def _table(spec: doc.LookupSpec, path: str, pointer: str, folder: Path | None) -> tuple[tuple[str, str], ...]:
    if spec.table is not None:
        return tuple(sorted((key, scalar_text(value)) for key, value in spec.table.items()))
    place = join(pointer, "file")
    name = spec.file or ""
    if folder is None or Path(name).name != name or name in ("", ".", ".."):
        raise FlowError(path, place, "must be the plain name of a file beside the flow file")
    file = folder / name
    if file.resolve().parent != folder.resolve():
        raise FlowError(path, place, "must lie beside the flow file, not behind a link")
    rows = csv.DictReader(io.StringIO(read_text(file), newline=""))
    if list(rows.fieldnames or []) != ["key", "value"]:
        raise FlowError(path, place, f"{name} must have the header key,value")
    table: dict[str, str] = {}
    try:
        for row in rows:
            key, value = row["key"], row["value"]
            if value is None or None in row:
                raise FlowError(path, place, f"{name}, line {rows.line_num}: must have two fields")
            if key in table:
                raise FlowError(
                    path, place, f"{name}, line {rows.line_num}: the key {key!r} stands there twice"
                )
            table[key] = value
    except csv.Error as error:
        raise FlowError(path, place, f"{name}, line {rows.line_num}: {error}") from error
    check_json(table, path, place)
    return tuple(sorted(table.items()))


def _as_json(entry: doc.Part, table: tuple[tuple[str, str], ...] | None) -> dict[str, Any]:
    written: dict[str, Any] = entry.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if table is not None:
        lookup = {key: value for key, value in written["lookup"].items() if key != "file"}
        written["lookup"] = {**lookup, "table": dict(table)}
    return written


def _fingerprint(flow: doc.FlowDocument, mapper: Mapping[str, Any]) -> str:
    content = {
        "format": _FINGERPRINT_FORMAT,
        "description": flow.description,
        "source": flow.source.model_dump(mode="json", exclude_defaults=True),
        "target_schema": flow.target_schema,
        "columns": list(flow.target_schema["properties"]),  # their order is lost in canonical JSON
        "mapper": mapper,
        "target": flow.target.model_dump(mode="json", exclude_defaults=True),
    }
    if flow.rules:
        content["rules"] = [rule.model_dump(mode="json", exclude_defaults=True) for rule in flow.rules]
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _lineage(plan: Plan) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for field_plan in plan.fields:
        columns = found.setdefault(field_plan.target.name, {})
        for leaf in field_plan.inputs:
            if isinstance(leaf, Column):
                columns[leaf.name] = None
            elif isinstance(leaf, Field):
                columns.update(found[leaf.name])
    return {name: list(found[name]) for name in plan.order}
