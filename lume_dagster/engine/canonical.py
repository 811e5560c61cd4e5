"""The canonical text of a Python value, by the rules of `parquet_source`."""

from __future__ import annotations

import json
import math
from datetime import date, datetime, time, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID


def canonical_text(value: Any) -> str | None:  # noqa: PLR0911 - one a type
    """The text of a value that a database or a spreadsheet gives; None for an absent one.

    Raises:
        TypeError: A value of this type has no text: bytes, a duration, ...
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, UUID)):
        return str(value)
    if isinstance(value, float):
        whole = math.isfinite(value) and value == math.trunc(value) and abs(value) < 2.0**63
        return str(int(value)) if whole else repr(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        zone = "" if value.tzinfo is None else "Z"
        local = value if value.tzinfo is None else value.astimezone(timezone.utc).replace(tzinfo=None)
        return local.isoformat() + zone
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, default=str)
    raise TypeError(type(value).__name__)
