"""Reads JSON that carries records: what Python would change in silence is refused."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any

from lume_dagster.engine.json_source import repeated_member
from lume_dagster.service.errors import InvalidRequestError


def read_exact_json(body: bytes) -> Any:
    """The value of a JSON document.

    Raises:
        InvalidRequestError: It is no JSON, or a number in it has more digits than a float keeps, or an object has a
            member twice.
    """
    try:
        return json.loads(body, parse_float=_float, parse_constant=_constant, object_pairs_hook=_object)
    except RecursionError as error:
        raise InvalidRequestError("body: it is nested too deeply") from error
    except ValueError as error:
        raise InvalidRequestError(f"body: Invalid JSON: {error}") from error


def _float(text: str) -> float:
    value = float(text)
    try:
        is_kept = Decimal(repr(value)) == Decimal(text)
    except InvalidOperation:  # an exponent beyond all bounds
        is_kept = False
    if not is_kept:
        raise ValueError(
            f"the number {text:.50} has more digits than a 64-bit float keeps; send it as a text"
        )
    return value


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON; send null where there is no value")


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    if (twice := repeated_member(members)) is not None:
        raise ValueError(f"an object has the member {twice!r} twice")
    return dict(members)
