"""The file of a drafted flow version: plain YAML, with a comment above each mapper entry that says why it is so."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

import yaml

from lume_dagster.engine import FlowError
from lume_dagster.engine.yaml_document import is_text_unquoted, parse_yaml
from lume_dagster.generator.drafting import Draft, DraftField

REVIEW = "REVIEW"
"""The mark of a field that people have to look at."""
OPEN = "OPEN"
"""The mark of a field without a proposal."""

_WIDTH = 110
_LONGEST = 400
_COLUMNS_SHOWN = 5


class FlowDumper(yaml.SafeDumper):
    """Writes each value out, as the reader of flow files takes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - overrides PyYAML's
        """None is written."""
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """A text; in double quotes if it has line breaks of any alphabet, or the reader would take it for a number."""
        plain = text.isprintable() and is_text_unquoted(text)
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


FlowDumper.add_representer(str, FlowDumper.represent_text)


def flow_file(draft: Draft) -> str:
    """The text of the file; what it says is the draft's document.

    Args:
        draft: The draft.

    Raises:
        FlowError: The draft says what no flow file can hold, such as a NUL character.
    """
    document = {key: value for key, value in draft.document.items() if value != ""}
    mapper = document["mapper"]
    head = [
        "Generated from a sample. The comments in the mapper say how sure each entry is, and why.",
        *_overview(draft),
        *draft.notes,
    ]
    parts = ["".join(_comment(line, "") for line in head)]
    parts += [_dump({key: value}) for key, value in document.items() if key != "mapper"]
    entries = "".join(
        "".join(_comment(line, "  ") for line in _said(field)) + _entry(field.name, mapper[field.name])
        for field in draft.fields
    )
    text = "\n".join([*parts, f"mapper:\n{entries}"])
    if parse_yaml(text, "the draft") != document:
        raise FlowError("the draft", "", "holds a text that YAML does not keep")
    return text


def _overview(draft: Draft) -> Iterable[str]:
    if open_fields := [field.name for field in draft.fields if field.is_open]:
        yield f"{OPEN}, without a proposal: {', '.join(open_fields)}"
    if marked := [field.name for field in draft.marked if not field.is_open]:
        yield f"{REVIEW} before use: {', '.join(marked)}"


def _said(field: DraftField) -> Iterable[str]:
    if field.is_open:
        need = ", and the field is required: as it stands, each record is rejected" if field.required else ""
        yield f"{OPEN}: no proposal{need}"
    elif field.chosen:
        yield "chosen by a person" + (
            f", proposed by a language model ({field.advised_by})" if field.advised_by else ""
        )
    else:
        mark = "" if field.accepted else f"{REVIEW}: "
        yield f"{mark}confidence {field.confidence:.2f}; {'; '.join(field.reasons)}"
    for note in field.notes:
        yield f"- {note}"
    if not field.accepted and field.runners_up:
        others = (f"{other.source} ({other.confidence:.2f})" for other in field.runners_up[:_COLUMNS_SHOWN])
        yield f"- other columns: {', '.join(others)}"


def _comment(text: str, indent: str) -> str:
    """A text as comment lines. What comes from data cannot leave them."""
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text[:_LONGEST]
    )
    lines = textwrap.wrap(shown, _WIDTH - len(indent) - 2, break_long_words=False) or [""]
    return "".join(f"{indent}# {line}\n" for line in lines)


def _entry(field: str, entry: dict[str, Any]) -> str:
    """A mapper entry, on one line where it fits."""
    short = yaml.dump(
        {field: entry},
        Dumper=FlowDumper,
        sort_keys=False,
        allow_unicode=True,
        width=10_000,
        default_flow_style=True,
    ).strip()[1:-1]
    if len(short) + 2 <= _WIDTH and "\n" not in short and not short.startswith("?"):
        return f"  {short}\n"
    return textwrap.indent(_dump({field: entry}), "  ")


def _dump(document: dict[str, Any]) -> str:
    return yaml.dump(
        document,
        Dumper=FlowDumper,
        sort_keys=False,
        allow_unicode=True,
        width=_WIDTH,
        default_flow_style=False,
    )
