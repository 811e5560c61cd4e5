"""Words of column names: what abbreviations stand for, what means the same, what excludes each other.

The lists lie in `words/`: general ones of business and data work, written by hand, one entry a line, in lower case and
without accents.
"""

from __future__ import annotations

from importlib.resources import files


def _lines(name: str) -> list[str]:
    text = (files(__package__) / "words" / f"{name}.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _meanings(name: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(line.split()[0], tuple(line.split()[1:])) for line in _lines(name)]


def _acronyms() -> dict[str, tuple[tuple[str, ...], ...]]:
    found: dict[str, tuple[tuple[str, ...], ...]] = {}
    for short, phrase in _meanings("acronyms"):
        found[short] = (*found.get(short, ()), phrase)
    return found


def _concepts() -> dict[tuple[str, ...], tuple[str, ...]]:
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    for line in _lines("synonyms"):
        phrases = [part.strip() for part in line.split(",")]
        concept = phrases[0].replace(" ", "_")
        for text in phrases:
            # A name is looked up with its abbreviations written out.
            phrase = tuple(text.split())
            written_out = tuple(ABBREVIATIONS.get(word, (word,))[0] for word in phrase)
            for one in {phrase, written_out} if len(phrase) > 1 else {phrase}:
                if concept not in found.get(one, ()):
                    found[one] = (*found.get(one, ()), concept)
    return found


def _opposites() -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for group, line in enumerate(_lines("opposites")):
        for word in line.split(" / "):
            found[word] = (*found.get(word, ()), group)
    return found


ABBREVIATIONS: dict[str, tuple[str, ...]] = dict(_meanings("abbreviations"))
"""An abbreviation, and the words that it may stand for."""

ACRONYMS: dict[str, tuple[tuple[str, ...], ...]] = _acronyms()
"""An acronym, and the phrases that it may stand for."""

CONCEPTS: dict[tuple[str, ...], tuple[str, ...]] = _concepts()
"""A word or phrase, and what it may mean, by the first word or phrase of each line that it stands in."""

HAN: dict[str, tuple[str, ...]] = dict(_meanings("han"))
"""A word in Han script, and what it means in English."""

OPPOSITES: dict[str, tuple[int, ...]] = _opposites()
"""A word, and the groups of which a name rarely has two."""

STOPWORDS: frozenset[str] = frozenset(word for line in _lines("stopwords") for word in line.split())
"""Words that say nothing by themselves."""
