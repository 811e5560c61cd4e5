"""Paths into nested JSON records: `address.city`, `items[0].sku`, `items[*].sku`."""

from __future__ import annotations

import re
from typing import Any

ABSENT = object()
"""What a path leads to in a record that has no such place."""

_STEP = re.compile(r"(?:^|\.)([^.\[\]]+)|\[([0-9]{1,9}|\*)\]")
EVERY = "*"
"""The step into every item of a list."""

Path = tuple[str | int, ...]


def parse_path(text: str) -> Path | None:
    """The steps of a path: member names, indexes and `*`; None for a text that is no path of two steps or more."""
    steps: list[str | int] = []
    at = 0
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            return None
        name, index = step.groups()
        steps.append(f".{name}" if name is not None else index if index == EVERY else int(index))
        at = step.end()
    return tuple(steps) if len(steps) > 1 else None


def root(path: Path) -> str:
    """The member of the record in which a path starts; empty if it starts with an index."""
    return str(path[0])[1:] if str(path[0]).startswith(".") else ""


def resolve(value: Any, path: Path) -> Any:
    """What lies at a path, or `ABSENT`; `[*]` gives the list of what lies there in every item that has it."""
    for at, step in enumerate(path):
        if step == EVERY:
            if not isinstance(value, list):
                return ABSENT
            found = (resolve(item, path[at + 1 :]) for item in value)
            return [item for item in found if item is not ABSENT]
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                return ABSENT
            value = value[step]
        elif not isinstance(value, dict) or (value := value.get(step[1:], ABSENT)) is ABSENT:
            return ABSENT
    return value
