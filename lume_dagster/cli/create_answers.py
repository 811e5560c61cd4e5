"""What a person at the terminal can answer about one field of a draft: accept it, or say what is meant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from lume_dagster.generator.plain_operation import in_words
from lume_dagster.generator.reading import telling_text
from lume_dagster.plain_text import visible

if TYPE_CHECKING:
    from lume_dagster.generator.drafting import Drafter, DraftField

_SHOWN_VALUE = 60
_MOST_LISTED = 50
_UNIT_NOTE = "nothing says that"


class Answers:
    """Asks about the fields of a draft, one at a time.

    Args:
        drafter: Made the draft.
    """

    def __init__(self, drafter: Drafter) -> None:
        self._drafter = drafter

    def ask(self, field: DraftField) -> DraftField:
        """The field as the person wants it.

        Args:
            field: The field as it stands.
        """
        click.echo(f"\n{visible(field.name)}: {proposed(field)}")
        for said in (*field.reasons, *field.notes):
            click.echo(f"  {visible(said)}")
        if field.runners_up:
            others = (f"{visible(one.source)} ({one.confidence:.2f})" for one in field.runners_up)
            click.echo(f"  other columns: {', '.join(others)}")
        answers = self._answers(field)
        default = "choose" if field.operation is None else "accept"
        while True:
            answer = click.prompt("  What now?", type=click.Choice([*answers]), default=default)
            if (made := answers[answer]()) is not None:
                return made

    def _answers(self, field: DraftField) -> dict[str, Callable[[], DraftField | None]]:
        drafter = self._drafter
        found: dict[str, Callable[[], DraftField | None]] = {}
        if field.operation is not None:
            found["accept"] = lambda: replace(field, chosen=True)
        found |= self._readings(field)
        if field.operation is not None and drafter.lacks_zone(field):
            found["zone"] = lambda: self._in_zone(field)
        if "extract" in (field.operation or {}) and any(_UNIT_NOTE in note for note in field.notes):
            found["unit"] = lambda: self._in_unit(field)
        if drafter.options(field.name) and (field.unclassified or (not field.operation and field.runners_up)):
            found["class"] = lambda: self._classed(field)
        found["choose"] = lambda: self._of_column(field)
        found["skip"] = lambda: drafter.choose(field, None)
        return found

    def _readings(self, field: DraftField) -> dict[str, Callable[[], DraftField | None]]:
        """The ways in which the field's texts can be read, by their numbers, which are told."""
        readings = self._drafter.readings(field)
        if not readings:
            return {}
        text = telling_text(readings)
        found: dict[str, Callable[[], DraftField | None]] = {}
        for number, reading in enumerate(readings, 1):
            value = reading.values.get(text, "no value")
            means = reading.means or in_words(reading.entry(field.sources[0]))
            click.echo(f"  {number}: {visible(means)}; {visible(text, _SHOWN_VALUE)} is {value}")
            found[str(number)] = lambda reading=reading: self._drafter.read_as(field, reading)  # type: ignore[misc]
        return found

    def _in_zone(self, field: DraftField) -> DraftField | None:
        zone = click.prompt("  Time zone, such as Europe/Berlin")
        return _made(self._drafter.in_zone(field, zone))

    def _in_unit(self, field: DraftField) -> DraftField | None:
        unit = click.prompt(f"  Unit of {visible(field.sources[0])}")
        return _made(self._drafter.in_unit(field, unit))

    def _of_column(self, field: DraftField) -> DraftField:
        while True:
            column = click.prompt("  Column")
            try:
                made = self._drafter.choose(field, column)
            except KeyError:
                known = ", ".join(
                    visible(one.name) for one in self._drafter.sample.profile.columns[:_MOST_LISTED]
                )
                click.echo(f"  there is no column {visible(column)}; there are {known}")
                continue
            if made.operation is not None:
                return made
            click.echo(f"  {visible(made.notes[-1])}")

    def _classed(self, field: DraftField) -> DraftField | None:
        """The field with the options of values that the person knows; a value that is left is rejected."""
        drafter = self._drafter
        if field.operation is None:
            column = field.runners_up[0].source
            field = drafter.looked_up(field, column, confidence=1.0, reason=f"chosen: {column}")
            if field.operation is None:
                return _made(field)
        options = drafter.options(field.name)
        texts = [option.text for option in options]
        # A number is that of an option, unless options look like numbers themselves.
        numbered = {} if any(text.isdigit() for text in texts) else dict(enumerate(texts, 1))
        for number, text in list(enumerate(texts, 1))[:_MOST_LISTED]:
            title = options[number - 1].title
            said = visible(text) + (f" ({visible(title)})" if title else "")
            click.echo(f"  {number}: {said}" if numbered else f"  {said}")
        click.echo("  Enter leaves a value, a dot leaves all that come.")
        counts = drafter.sample.counts(field.sources[0])
        classes = {}
        for value in field.unclassified:
            told = f"{counts[value]} record{'' if counts[value] == 1 else 's'}"
            typed = self._option(f"  {visible(value, _SHOWN_VALUE)!r} ({told}) is", texts, numbered)
            if typed == ".":
                break
            if typed:
                classes[value] = options[texts.index(typed)].value
        if not classes and not field.entry["lookup"]["table"]:
            click.echo("  no value has an option")
            return None
        made = drafter.classified(field, classes) if classes else field
        return replace(made, chosen=True)

    def _option(self, question: str, texts: list[str], numbered: dict[int, str]) -> str:
        """The text of an option, a dot, or nothing."""
        while True:
            typed: str = click.prompt(question, default="", show_default=False)
            if typed in ("", ".") or typed in texts:
                return typed
            if typed.isdecimal() and int(typed) in numbered:
                return numbered[int(typed)]
            click.echo(f"  there is no option {visible(typed)}")


def proposed(field: DraftField) -> str:
    """What a field is made of, in words."""
    if field.operation is None:
        return "left empty" if field.chosen else "no proposal"
    return visible(in_words(field.operation))


def _made(field: DraftField) -> DraftField | None:
    """The field; None if it is open, and why is told."""
    if field.operation is not None:
        return field
    click.echo(f"  {visible(field.notes[-1])}")
    return None
