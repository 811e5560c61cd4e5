"""API key and the URLs of requests, checked before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode


def checked_api_key(api_key: str | None) -> str | None:
    """Return the API key; None if it is empty.

    Raises:
        ValueError: It cannot be sent in a header. The message does not repeat it.
    """
    if not api_key:
        return None
    if not re.fullmatch(r"[!-~]+", api_key):
        raise ValueError(
            "api_key (LUME_API_KEY) holds a blank, a line break or a character outside ASCII; "
            "was it copied with something around it?"
        )
    return api_key


def path_of(*segments: str) -> str:
    """A path of these segments, each quoted, so that none can reach for another path.

    Raises:
        ValueError: A segment is empty or stands for another folder.
    """
    for segment in segments:
        if segment in ("", ".", ".."):
            raise ValueError(f"{segment!r} is no id or name that Lume could know")
    return "".join(f"/{quote(segment, safe='')}" for segment in segments)


def with_query(url: str, query: Mapping[str, str | int | None]) -> str:
    """The URL with a query of all the values that are not None."""
    told = {name: value for name, value in query.items() if value is not None}
    return f"{url}?{urlencode(told, quote_via=quote)}" if told else url
