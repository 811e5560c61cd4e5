"""What a mapper entry makes of the columns, in a few words for people; the flow file has it whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_PARTS = ("year", "month", "day", "hhmm")


def in_words(operation: Mapping[str, Any]) -> str:
    """An entry of a mapper in words.

    Args:
        operation: The entry, as a flow file has it.

    Example:
        >>> in_words({"date": {"from": "Order Date", "formats": ["%d.%m.%Y"]}})
        'Order Date as date, formats %d.%m.%Y'
    """
    (name, spec), *beside = operation.items()
    return _main(name, spec) + _options(dict(beside))


def _main(name: str, spec: Any) -> str:
    if name == "extract":
        return _part(spec)
    if name == "constant":
        return "left empty" if spec is None else _value(spec)
    if isinstance(spec, list):
        parts = [*map(_part, spec)]
        return " + ".join(parts) if name == "concat" else f"{name} of {', '.join(parts)}"
    return _of_options(name, spec) if isinstance(spec, dict) else _part(spec)


def _of_options(name: str, spec: Mapping[str, Any]) -> str:
    if name == "lookup" and "table" in spec:
        count = len(spec["table"])
        rest = {key: value for key, value in spec.items() if key not in ("from", "table")}
        return f"{_part(spec['from'])} by a table of {count} value{'' if count == 1 else 's'}{_options(rest)}"
    columns = [_part(spec[part]) for part in _PARTS if part in spec]
    if "from" in spec:
        columns = [_part(spec["from"])]
    elif isinstance(spec.get("of"), list):
        columns = [*map(_part, spec["of"])]
    rest = {key: value for key, value in spec.items() if key not in ("from", "of", *_PARTS)}
    return f"{', '.join(columns)} as {name}{_options(rest)}"


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and "target" in part:
        return f"field {part['target']}"
    return _value(part["text"]) if isinstance(part, Mapping) and "text" in part else _value(part)


def _options(options: Mapping[str, Any]) -> str:
    return "".join(
        f", {key} {_value(value, ' then ' if key == 'steps' else ' or ')}" for key, value in options.items()
    )


def _value(value: Any, between: str = " or ") -> str:
    if isinstance(value, list) and value:
        return between.join(item if isinstance(item, str) else _value(item) for item in value)
    return json.dumps(value, ensure_ascii=False)
