"""Read a YAML document from an untrusted file as plain JSON data."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import yaml

from lume_dagster.engine.errors import FlowError

MAX_BYTES = 16 * 1024 * 1024
_MAX_DEPTH = 100


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of JSON: no dates, no octals, no `NO` that means false; keys are texts."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - overrides PyYAML's
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(
                None, None, "aliases are not read; write the value out", mark
            )
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(None, None, "nested too deeply", mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_object_map(self, node: yaml.MappingNode) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be a text", key_node.start_mark
                )
            key = key_node.value
            if key in result:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands here twice", key_node.start_mark
                )
            result[key] = self.construct_object(value_node, deep=True)
        return result


def _resolve(tag: str, pattern: str, first: str) -> None:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(first))


_resolve("bool", "true|True|TRUE|false|False|FALSE", "tTfF")
_resolve("null", "~|null|Null|NULL|", "~nN")
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^$"), [""])
_resolve("int", "[-+]?(?:0|[1-9][0-9]*)", "-+0123456789")
_resolve(
    "float",
    r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+",
    "-+0123456789.",
)
_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.construct_object_map)
_Loader.add_constructor("tag:yaml.org,2002:float", lambda _, node: float(node.value))


def is_text_unquoted(scalar: str) -> bool:
    """Whether a scalar that stands in a document without quotes is read as a text, not as a number, say."""
    return not any(
        pattern.match(scalar) for _, pattern in _Loader.yaml_implicit_resolvers.get(scalar[:1], ())
    )


def read_text(path: Path) -> str:
    """The text of a small UTF-8 file.

    Raises:
        FlowError: The file cannot be read, is too large or is not UTF-8.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise FlowError(str(path), "", f"the file is larger than {MAX_BYTES >> 20} MB")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise FlowError(str(path), "", f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FlowError(str(path), "", f"byte {error.start} is not UTF-8; save the file as UTF-8") from error


def parse_yaml(text: str, path: str) -> Any:
    """Parse one YAML document into dicts, lists and JSON scalars.

    Args:
        text: The document.
        path: Names the file in errors.

    Raises:
        FlowError: Not YAML, a key that stands twice, an alias, or a text that is not valid Unicode.
    """
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise FlowError(path, "", f"not readable as YAML: {' '.join(str(error).split())}") from error
    except (ValueError, RecursionError) as error:
        raise FlowError(path, "", f"not readable as YAML: {error}") from error
    check_json(document, path, "")
    return document


def check_json(value: Any, path: str, pointer: str) -> None:
    """Refuse what JSON or SQL cannot carry: NUL characters, lone surrogates, numbers that are not finite.

    Raises:
        FlowError: Such a value is in the document.
    """
    if isinstance(value, str):
        if "\0" in value:
            raise FlowError(path, pointer, "a text holds a NUL character; take it out")
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise FlowError(path, pointer, "a text is not valid Unicode (a lone surrogate)") from error
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise FlowError(path, pointer, "a number is not finite")
    elif isinstance(value, dict):
        for key, item in value.items():
            check_json(key, path, pointer)
            check_json(item, path, join(pointer, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_json(item, path, join(pointer, index))
    elif value is not None and not isinstance(value, (bool, int)):
        raise FlowError(path, pointer, f"a {type(value).__name__} has no place in a flow file")


def join(pointer: str, *parts: str | int) -> str:
    """Extend a JSON pointer (RFC 6901)."""
    return pointer + "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)
