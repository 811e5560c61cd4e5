"""The query by which a flow reads a batch from a database: one SELECT that binds `:source_path`."""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""(?P<skip>--[^\n]*|/\*.*?\*/|\s+)
    |(?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    |(?P<cast>::)
    |(?P<parameter>:[A-Za-z_]\w*)
    |(?P<word>[A-Za-z_]\w*)
    |(?P<other>.)""",
    re.DOTALL | re.VERBOSE,
)
_WRITES = frozenset({"delete", "insert", "into", "merge", "update"})
"""The words by which a statement that starts with SELECT or WITH could write."""

PARAMETER = ":source_path"


class QueryProblem(ValueError):  # noqa: N818 - a finding about a text, like PatternProblem
    """A query is not one that a flow may have; the message says why."""


def dollar_bindable(query: str) -> str:
    """A query as DuckDB takes it: with `$source_path` for the batch.

    Raises:
        QueryProblem: As `bindable` does.
    """
    return _checked(query, "$source_path", ":")


def bindable(query: str) -> str:
    """Check a query, and escape it so that SQLAlchemy's `text` binds `:source_path` and nothing else.

    The check keeps mistakes out; what a hostile author could do is limited by the permissions of the connection,
    which is opened for reading only.

    Raises:
        QueryProblem: It is no single SELECT, or does not bind `:source_path`.
    """
    return _checked(query, PARAMETER, r"\:")


def _checked(query: str, parameter: str, colon: str) -> str:
    """The query with the parameter and the colons of its texts and casts written anew."""
    parts: list[str] = []
    words: list[str] = []
    bound = ended = False
    for token in _TOKEN.finditer(query):
        text = token[0]
        if token["skip"]:
            parts.append(" ")
            continue
        if ended:
            raise QueryProblem("holds more than one statement; write one SELECT")
        if text == ";":
            ended = True
            continue
        if text == PARAMETER:
            bound = True
            parts.append(parameter)
            continue
        if token["parameter"]:
            raise QueryProblem(f"binds {text}; the only parameter is {PARAMETER}")
        if token["word"]:
            words.append(text.lower())
        parts.append(text.replace(":", colon))
    if not words or words[0] not in {"select", "with"}:
        raise QueryProblem("must be one statement that starts with SELECT or WITH")
    if written := next((word for word in words if word in _WRITES), None):
        raise QueryProblem(f"holds the word {written}: a query only reads; put a column's name into quotes")
    if not bound:
        raise QueryProblem(f"must name the batch it reads: WHERE batch_id = {PARAMETER}")
    return "".join(parts).strip()
