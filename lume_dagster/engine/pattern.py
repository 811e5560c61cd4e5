r"""JSON Schema's `pattern` in RE2's dialect.

A pattern is searched for, not anchored, as JSON Schema has it. It runs on RE2, which is linear in the length of
the text, whatever the pattern; so look-around and back-references are refused. What RE2 would read in another way
than JSON Schema (ECMA 262 with Unicode) is either translated (`.`, `\s`) or refused, never silently different.
"""

from __future__ import annotations

import atexit
import re
import threading
from functools import cache

import duckdb

_lock = threading.Lock()
SPACE = r"\t-\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}"
r"""What `\s` stands for, as the inside of a class of RE2's."""
_LINE_BREAK = r"\n\r\x{2028}\x{2029}"
_SAME_ESCAPE = re.compile(
    r"""\\(?:[dDwWbBtnrfv^$\\.*+?()\[\]{}|/-]      # classes, controls and escaped syntax
    |x[0-9A-Fa-f]{2}
    |[pP]\{[A-Z][a-z]?\})                          # general categories such as Lu""",
    re.VERBOSE,
)
_SAME_IN_CLASS = re.compile(r"\\(?:[dDwWtnrfv^$\\.*+?()\[\]{}|/-]|x[0-9A-Fa-f]{2}|[pP]\{[A-Z][a-z]?\})")


class PatternProblem(ValueError):  # noqa: N818 - the message for an error, not one of its own
    """A pattern cannot be run with the meaning JSON Schema gives it; the message says why."""


def translate(pattern: str) -> str:
    """The RE2 pattern that means what `pattern` means in JSON Schema.

    Args:
        pattern: A regular expression of JSON Schema.

    Raises:
        PatternProblem: It uses what RE2 lacks or reads in another way.
    """
    out: list[str] = []
    at, in_class = 0, False
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            piece, length = _escape(pattern, at, in_class=in_class)
        elif in_class:
            piece, length, in_class = _class_character(pattern, at)
        elif char == "[":
            piece, length, in_class = _class_start(pattern, at)
        elif char == ".":
            piece, length = f"[^{_LINE_BREAK}]", 1
        elif pattern.startswith("(?", at) and not pattern.startswith("(?:", at):
            raise PatternProblem(
                "of the groups that start with (? only (?: is read; look-around, flags and names are not"
            )
        else:
            piece, length = char, 1
        out.append(piece)
        at += length
    translated = "".join(out)
    if reason := _refused_by_re2(translated):
        raise PatternProblem(reason)
    return translated


def count_groups(pattern: str) -> int:
    """How many groups a pattern that `translate` has accepted captures."""
    without_classes = re.sub(r"\\.|\[(?:\\.|[^\]\\])*\]", "", pattern, flags=re.DOTALL)
    return len(re.findall(r"\((?!\?)", without_classes))


def _escape(pattern: str, at: int, *, in_class: bool) -> tuple[str, int]:
    following = pattern[at + 1 : at + 2]
    if following == "s":
        return (SPACE if in_class else f"[{SPACE}]"), 2
    if following == "S" and not in_class:
        return f"[^{SPACE}]", 2
    if match := (_SAME_IN_CLASS if in_class else _SAME_ESCAPE).match(pattern, at):
        return match[0], len(match[0])
    raise PatternProblem(
        f"\\{following} is not read here the way JSON Schema means it; write it in another way"
    )


def _class_start(pattern: str, at: int) -> tuple[str, int, bool]:
    opening = "[^" if pattern.startswith("[^", at) else "["
    if pattern.startswith("]", at + len(opening)):
        raise PatternProblem(f"{opening}] is read in another way by RE2; write \\] for a bracket in a class")
    return opening, len(opening), True


def _class_character(pattern: str, at: int) -> tuple[str, int, bool]:
    char = pattern[at]
    if char == "[":
        return "\\[", 1, True
    return char, 1, char != "]"


@cache
def _judge() -> duckdb.DuckDBPyConnection:
    """The connection that tries patterns out: one a process, as opening one takes longer than all of a flow's."""
    connection = duckdb.connect(":memory:", config={"enable_external_access": "false", "threads": "1"})
    atexit.register(_close_judge)
    return connection


def _close_judge() -> None:
    _judge().close()
    _judge.cache_clear()


def _refused_by_re2(pattern: str) -> str | None:
    with _lock:
        try:
            _judge().execute("SELECT regexp_matches('', $1)", [pattern])
        except duckdb.Error as error:
            return f"RE2 does not run it: {str(error).split(':', 1)[-1].strip()}"
    return None


@cache
def is_time_zone(name: str) -> bool:
    """Whether the database knows a time zone by this IANA name."""
    with _lock:
        found = _judge().execute("SELECT count(*) FROM pg_timezone_names() WHERE name = $1", [name])
        return found.fetchall() != [(0,)]
