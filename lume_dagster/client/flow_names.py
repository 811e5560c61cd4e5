"""The names of flow versions."""

from __future__ import annotations

import re
from collections.abc import Iterable

_NUMBERED = re.compile(r"v([1-9][0-9]{0,8})")


def split_flow_version(flow_version: str) -> tuple[str, str]:
    """The name and the version of ``name:vN``.

    Raises:
        ValueError: It is not of that form.
    """
    name, _, version = flow_version.rpartition(":")
    if not name or not version:
        raise ValueError(f"a flow version is written name:vN, such as 'flights:v1', not {flow_version!r}")
    return name, version


def newest_version(versions: Iterable[str]) -> str | None:
    """The version ``vN`` of the greatest number; None if there is none.

    Example:
        >>> newest_version(["v9", "v10"])
        'v10'
    """
    numbered = filter(_NUMBERED.fullmatch, versions)
    return max(numbered, key=lambda version: int(version[1:]), default=None)
