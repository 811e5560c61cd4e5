"""Nested values of a sample: columns of JSON objects and lists, and the paths to what lies in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

_LOOKED_AT = 1_000
_MOST_PATHS = 2_000
_MOST_ITEMS = 20
_DEEPEST = 10
_NAME = re.compile(r"[^.\[\]]+")
_PLAIN = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class Nested:
    """Which columns of a sample hold nested values.

    Attributes:
        objects: Columns of JSON objects, or of lists that hold objects or lists.
        lists: Columns of JSON lists of plain values.
        paths: Where the plain values and lists lie in them, such as `address.city` and `items[0].sku`.
        longest: For a path by the first item of a list, how many items the longest one has, if that is more than one.
    """

    objects: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()
    longest: Mapping[str, int] = field(default_factory=dict)


def find_nested(table: pa.Table) -> Nested:
    """The nested values of a table of texts.

    Args:
        table: The texts; of each column the first 1,000 are looked at.
    """
    objects: set[str] = set()
    lists: set[str] = set()
    found = _Paths()
    for name in table.column_names:
        texts = table.column(name).slice(0, _LOOKED_AT).drop_null()
        # Most columns are told by one look.
        if not len(texts) or not texts[0].as_py().startswith(("{", "[")):
            continue
        if not (values := _parsed(texts.to_pylist())):
            continue
        (lists if all(map(_is_plain_list, values)) else objects).add(name)
        if _NAME.fullmatch(name):
            for value in values:
                found.add(name, value)
    known = set(table.column_names)
    paths = tuple(path for path in found.paths if path not in known)
    return Nested(
        frozenset(objects),
        frozenset(lists),
        paths,
        {path: items for path, items in found.longest.items() if items > 1},
    )


def _parsed(texts: Iterable[str]) -> list[Any]:
    """The values of a column; none unless each of its texts is a JSON object or list."""
    values = []
    for text in texts:
        if not text.startswith(("{", "[")):
            return []
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return []
        values.append(value)
    return values


def _is_plain_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, _PLAIN) for item in value)


class _Paths:
    """The paths of values, in the order in which they are met."""

    def __init__(self) -> None:
        self._found: dict[str, None] = {}
        self.longest: dict[str, int] = {}

    @property
    def paths(self) -> Sequence[str]:
        return tuple(self._found)

    def add(self, root: str, value: Any) -> None:
        """Take up what lies in a value of a column."""
        for path, items in _leaves(root, value, 0, 1):
            if path != root and (path in self._found or len(self._found) < _MOST_PATHS):
                self._found[path] = None
                self.longest[path] = max(items, self.longest.get(path, 1))


def _leaves(path: str, value: Any, depth: int, items: int) -> Iterator[tuple[str, int]]:
    """Where plain values and lists of them lie, each with the number of items of the longest list before it."""
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            if _NAME.fullmatch(name):
                yield from _leaves(f"{path}.{name}", inner, depth + 1, items)
        return
    if not isinstance(value, list) or "[*]" in path:
        yield path, items
        return
    if _is_plain_list(value):
        yield path, items
    for item in value[:1]:
        if isinstance(item, (dict, *_PLAIN)):
            yield from _leaves(f"{path}[0]", item, depth + 1, max(items, len(value)))
    for item in value[:_MOST_ITEMS]:
        if isinstance(item, dict):
            yield from _leaves(f"{path}[*]", item, depth + 1, items)
