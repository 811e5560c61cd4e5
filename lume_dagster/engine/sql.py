"""Literals and names for SQL, made in one place: nothing else puts a text into a statement."""

from __future__ import annotations


def literal(text: str | None) -> str:
    """A SQL literal of a text; null for None.

    Raises:
        ValueError: The text holds a NUL character, which no literal can.
    """
    if text is None:
        return "CAST(NULL AS VARCHAR)"
    if "\0" in text:
        raise ValueError("a text with a NUL character cannot stand in a statement")
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A quoted SQL name.

    Raises:
        ValueError: The name holds a NUL character.
    """
    if "\0" in name:
        raise ValueError("a name with a NUL character cannot stand in a statement")
    return '"' + name.replace('"', '""') + '"'


def number(value: float, sql_type: str) -> str:
    """A SQL literal of a number in a type; exact, also for floats."""
    return f"CAST('{value!r}' AS {sql_type})"
