from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from lume_dagster.plain_text import plain, visible

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
HOSTILE = (
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "![x](http://example.com/pixel.png)",
    "**bold** __bold__ _it_ *it* ~~gone~~ `code`",
    "<b>x</b> &amp; &#60;script&#62;",
    "# heading\n- item\n1. one\n> quote\n---\n===\n| a | b |\n|---|---|",
    "1. one",
    "1) one",
    "- item",
    "+ item",
    "# heading",
    "\\<b>",
    "<https://example.com>",
    "[x]: http://example.com",
)
markup = st.text(st.sampled_from("ab1 _*`~[]()<>!#+-=.|\\&;:/\"'\n\t"), max_size=40)


def shown(text: str) -> tuple[set[str], str]:
    """The kinds of things that Markdown makes of a text, and what can be read of it."""
    tokens: list[Token] = []
    for token in MARKDOWN.parse(text):
        tokens += token.children or [token]
    kinds = {token.type for token in tokens}
    return kinds, "".join(token.content for token in tokens)


@given(st.text() | markup)
@example("".join(HOSTILE))
def test_any_text_shows_as_it_stands(text: str) -> None:
    kinds, read = shown(plain(text))
    assert kinds <= {"paragraph_open", "paragraph_close", "text", "text_special"}
    assert read == visible(" ".join(text.split()), longest=1000)


@pytest.mark.parametrize("text", HOSTILE)
def test_markup_shows_as_it_stands(text: str) -> None:
    assert shown(f"told: {plain(text)}")[1] == f"told: {' '.join(text.split())}"


@given(st.text())
def test_a_table_shows_every_character_once_and_no_hidden_ones(text: str) -> None:
    told = visible(text, longest=1000)
    assert told.isprintable()
    if text.isprintable():
        assert told == text


def test_what_is_long_is_cut() -> None:
    assert visible("x" * 1000) == "x" * 300 + "..."
