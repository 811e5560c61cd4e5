"""Text that comes from data, made fit to be shown: nothing in it formats, links, hides or runs.

Dagster's UI shows text, tables, JSON, paths and failures as they are. Descriptions of checks and of columns, and
Markdown metadata, it renders. A bare web address becomes a link to itself there, whatever is done.
"""

from __future__ import annotations

import re

_LONGEST_TEXT = 300

# An underscore within a word formats nothing, and names of fields are full of them.
_MARKUP = re.compile(r"[\\`*\[\]<>&~|]|(?<![^\W_])_|_(?![^\W_])")
# What makes a heading, a list, a quote or a rule, where a text begins with it.
_BLOCK = re.compile(r"^(\d*)(?=[#+=.)-])")


def plain(text: str) -> str:
    r"""Text for a place that renders Markdown, such that it shows there as it stands, in one paragraph.

    Example:
        >>> plain("<script> and [x](javascript:alert)")
        '\\<script\\> and \\[x\\](javascript:alert)'
    """
    return _BLOCK.sub(r"\1\\", _MARKUP.sub(r"\\\g<0>", _escaped(" ".join(text.split()))))


def visible(text: str, longest: int = _LONGEST_TEXT) -> str:
    r"""Text for a table: its control and bidirectional characters as escapes, and cut where it is too long.

    Example:
        >>> visible("a\u202eb\n")
        'a\\u202eb\\n'
    """
    shown = _escaped(text[:longest])
    return shown if len(text) <= longest else f"{shown}..."


def whole(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Text for a table, like `visible`; in quotes if it is empty, or has blanks at an end, which nobody would see."""
    shown = visible(text, longest)
    return shown if text and text == text.strip() else f'"{shown}"'


def _escaped(text: str) -> str:
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
