"""Sorts source values into the options of an enum: a wrong class is worse than none.

A value is held against each option and its title, first exactly, then by what is left of it without case, accents and
punctuation, then by alias packs (see `aliases`), then by likeness (see `option_labels`). A step decides only if it has
one winner. A sign of doubt that the option does not have, such as the question mark of `done?`, leaves it a suggestion.
From `ACCEPT` on a class is taken over, from `SUGGEST` on it is shown to a reviewer, below it is none.
The same values and options always give the same classes.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from lume_dagster.generator.aliases import AliasPack, alias_packs
from lume_dagster.generator.option_labels import (
    LIKELY,
    RIVAL,
    STEPS,
    SURE,
    Label,
    Setting,
    Step,
    make_setting,
)
from lume_dagster.generator.text_key import squeezed, words

Scalar = str | int | float | bool

ACCEPT = SURE
"""From this confidence on a class is written into a lookup."""
SUGGEST = 0.75
"""From this confidence on a class is shown to a reviewer."""

_STEPS_OF_CLOSED = ("words", "stem", "misspelled")
_PACK_COVERAGE = 0.6
_ABSENT = frozenset(
    {
        "",
        "na",
        "n a",
        "none",
        "null",
        "nil",
        "nan",
        "tbd",
        "tba",
        "tbc",
        "undefined",
        "missing",
        "blank",
        "empty",
    }
)
"""Keys of what people write for nothing."""
_DOUBT = re.compile(r"[?¿~≈≠¬]|^\s*!")
"""Signs that make something else of what they stand beside, or leave it in doubt."""


@dataclass(frozen=True)
class Option:
    """One of the values that a field may have.

    Attributes:
        value: The value itself.
        title: What it means, if the schema tells.
    """

    value: Scalar
    title: str | None = None

    @property
    def text(self) -> str:
        """The value as a source column would hold it."""
        return ("true" if self.value else "false") if isinstance(self.value, bool) else str(self.value)


@dataclass(frozen=True)
class Classification:
    """What a source value means.

    Attributes:
        value: The source value.
        option: The option it means; None if there is none, or not one alone.
        confidence: How sure that is, 0 to 1.
        reason: How it was found, or why it was not.
    """

    value: str
    option: Scalar | None
    confidence: float
    reason: str

    @property
    def accepted(self) -> bool:
        """Whether it is sure enough to be taken over without a look at it."""
        return self.option is not None and self.confidence >= ACCEPT


def options_of(schema: Mapping[str, Any]) -> tuple[Option, ...]:
    """The options of a property, with their titles: `enum`, or `oneOf` of `const` and `title`.

    Args:
        schema: The JSON Schema of one property, as the engine accepts it.

    Returns:
        Empty if the property has none.
    """
    named = schema.get("oneOf", ())
    found = [Option(one["const"], one.get("title")) for one in named if one.get("const") is not None]
    return tuple(found) or tuple(Option(value) for value in schema.get("enum", ()) if value is not None)


def lookup_entry(column: str, classes: Iterable[Classification]) -> dict[str, Any]:
    """The mapper entry that translates a column by the accepted classes; the rest are rejects.

    Args:
        column: The source column.
        classes: What its values mean.
    """
    table = {found.value: found.option for found in classes if found.accepted}
    return {"lookup": {"from": column, "table": table}}


def classify(
    values: Iterable[str], options: Sequence[Option], *, field: str = "", description: str = ""
) -> tuple[Classification, ...]:
    """What each value of a source column means.

    Args:
        values: The distinct values that are there; they are looked at together, so give all at once.
        options: What the field may be.
        field: The field's name.
        description: What the schema says about it.

    Returns:
        One class a value, in their order.
    """
    return Classifier(tuple(options), field, description).classify(values)


@dataclass(frozen=True)
class Classifier:
    """Sorts values into the options of one field.

    Args:
        options: What the field may be.
        field: The field's name.
        description: What the schema says about it.
    """

    options: tuple[Option, ...]
    field: str = ""
    description: str = ""

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        """All texts by which the options go."""
        found = []
        for index, option in enumerate(self.options):
            found.append(Label(index, option.text, words(option.text), is_code=option.title is not None))
            if option.title is not None:
                found.append(Label(index, option.title, words(option.title)))
        return tuple(found)

    def classify(self, values: Iterable[str]) -> tuple[Classification, ...]:
        """What each of the values means; they are looked at together.

        Args:
            values: The distinct values of a source column.
        """
        given = tuple(values)
        packs = self._packs(given)
        closed = any(pack.closed for pack, _ in packs)
        labels = _Labels(self._labels_and_names(packs), make_setting(self.labels, self.field, closed=closed))
        in_codes = self._holds_codes(given, packs)
        return tuple(
            self._without_doubt(self._class_of(value, packs, labels, in_codes=in_codes)) for value in given
        )

    @cached_property
    def _by_text(self) -> Mapping[str, set[int]]:
        return _grouped((option.text, index) for index, option in enumerate(self.options))

    @cached_property
    def _by_stripped_text(self) -> Mapping[str, set[int]]:
        return _grouped((label.text.strip(), label.option) for label in self.labels)

    @cached_property
    def _by_words(self) -> Mapping[tuple[str, ...], set[int]]:
        return _grouped((label.words, label.option) for label in self.labels)

    @cached_property
    def _numbers(self) -> _Numbers:
        return _Numbers(tuple(option.text for option in self.options))

    def _without_doubt(self, found: Classification) -> Classification:
        """The class; no more than a suggestion if the value has a sign of doubt that its option does not have."""
        if not found.accepted or found.value in self._by_text or not _DOUBT.search(found.value):
            return found
        if any(
            self.options[label.option].value == found.option and _DOUBT.search(label.text)
            for label in self.labels
        ):
            return found
        return replace(
            found, confidence=LIKELY, reason=f"{found.reason}; a sign beside it leaves that in doubt"
        )

    def _holds_codes(self, values: tuple[str, ...], packs: tuple[_Applied, ...]) -> bool:
        """Whether `NA` is a code among codes: most other values are options, as it is, or are known codes."""
        texts = {option.text for option in self.options}
        others = [value for value in values if " ".join(words(value)) not in _ABSENT]
        if "NA" in texts:
            return 2 * sum(value in texts for value in others) >= len(others)
        known = [
            value
            for value in others
            if len(value) == 2 and value.isupper() and any(pack.things(value) for pack, _ in packs)
        ]
        return len(known) >= 2 and 2 * len(known) > len(others)

    def _class_of(
        self,
        value: str,
        packs: tuple[_Applied, ...],
        labels: _Labels,
        *,
        in_codes: bool,
    ) -> Classification:
        exact = self._by_text.get(value, set())
        if len(exact) == 1:
            # `NA` among names is no Namibia, but among codes it is.
            sure = LIKELY if value == "NA" and not in_codes else 1.0
            return self._found(value, min(exact), sure, "the option itself")
        spoken = words(value)
        if not spoken:
            return _none(value, "holds no word")
        if (same := self._same_key(value, spoken)) is not None:
            return same
        if " ".join(spoken) in _ABSENT and not (value == "NA" and in_codes):
            return _none(value, "stands for nothing")
        if (known := self._known(value, packs)) is not None:
            return known
        return self._alike(value, spoken, labels)

    def _same_key(self, value: str, spoken: tuple[str, ...]) -> Classification | None:
        alike = (
            self._by_stripped_text.get(value.strip())
            or self._by_words.get(spoken)
            or self._numbers.options(value)
        )
        if not alike:
            return None
        if len(alike) > 1:
            return self._ambiguous(value, alike)
        (option,) = alike
        absent = (
            " ".join(spoken) in _ABSENT and squeezed(spoken) == "na" and self.options[option].text != value
        )
        return self._found(value, option, LIKELY if absent else 0.99, "but for case and punctuation")

    def _known(self, value: str, packs: tuple[_Applied, ...]) -> Classification | None:
        """What the alias packs make of a value; None if none of them knows it."""
        found: set[int | None] = set()
        names = []
        for pack, option_of in packs:
            things = pack.things(value, option_of)
            if not things:
                continue
            names.append(pack.name)
            hit = {option_of[thing] for thing in things if thing in option_of}
            ambiguous = len(things) > 1 and (pack.closed or len(hit) > 1)
            found |= {None} if ambiguous or not hit else set(hit)
        if not names:
            return None
        (option, *others) = found
        if others or option is None:
            return _none(value, f"{' and '.join(names)}: no option alone means it")
        sure = 0.98 if len(packs) == 1 or len(words(value)[0]) > 2 else LIKELY
        return self._found(value, option, sure, f"a name of it ({names[0]})")

    def _alike(self, value: str, spoken: tuple[str, ...], labels: _Labels) -> Classification:
        best: Classification | None = None
        for step in labels.steps:
            scores: dict[int, float] = {}
            for label in labels.near(step, spoken):
                if likeness := step.likeness(spoken, value, label, labels.setting):
                    scores[label.option] = max(likeness, scores.get(label.option, 0))
            if not scores:
                continue
            (option, sure), *rest = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
            if rest and (rest[0][1] == sure or rest[0][1] >= RIVAL):
                return best or self._ambiguous(value, {option, rest[0][0]})
            if option < 0:
                return best or _none(value, "is another of the kind, and no option")
            if sure >= SUGGEST and (best is None or sure > best.confidence):
                best = self._found(value, option, sure, step.name)
            if sure >= ACCEPT:
                break
        return best or _none(value, "is like no option")

    def _labels_and_names(self, packs: tuple[_Applied, ...]) -> tuple[Label, ...]:
        """The labels of the options and the names that the packs know; those of no option count below 0."""
        found = list(self.labels)
        for pack, option_of in packs:
            for name in pack.names:
                things = pack.things_of_key(name, option_of)
                if len(things) == 1 and len(name) > 3:
                    (thing,) = things
                    found.append(Label(option_of.get(thing, -1 - thing), name, tuple(name.split())))
        return tuple(found)

    def _packs(self, values: tuple[str, ...]) -> tuple[_Applied, ...]:
        """The packs that the options are of: those the field's name speaks for, else those that know most values."""
        said = frozenset(words(f"{self.field} {self.description}".replace("_", " ")))
        found: list[tuple[AliasPack, dict[int, int], bool]] = []
        for pack in alias_packs():
            hinted = bool(pack.hints & said)
            option_of = self._things(pack, numbers=hinted)
            if len(option_of) >= _PACK_COVERAGE * len(self.options):
                found.append((pack, option_of, hinted))
        kept = [one for one in found if one[2]] or found
        if len(kept) > 1:
            most = max(len(option_of) for _, option_of, _ in kept)
            kept = [one for one in kept if len(one[1]) == most]
        if len(kept) > 1:
            knows = [
                sum(len(value) > 3 and bool(pack.things(value)) for value in values) for pack, _, _ in kept
            ]
            kept = [one for one, known in zip(kept, knows, strict=True) if known == max(knows)]
        return tuple((pack, option_of) for pack, option_of, _ in kept)

    def _things(self, pack: AliasPack, *, numbers: bool) -> dict[int, int]:
        """Which option stands for which thing of a pack, by its title if it has one.

        A number is a name, such as 1 of January, only where the field's name speaks for the pack.
        """
        option_of: dict[int, int] = {}
        twice: set[int] = set()
        for index, option in enumerate(self.options):
            said = option.title or option.text
            thing = None if said.isdigit() and not numbers else pack.thing_of_option(said)
            if thing is not None:
                if thing in option_of:
                    twice.add(thing)
                option_of[thing] = index
        return {thing: index for thing, index in option_of.items() if thing not in twice}

    def _found(self, value: str, option: int, confidence: float, reason: str) -> Classification:
        return Classification(value, self.options[option].value, confidence, reason)

    def _ambiguous(self, value: str, options: set[int]) -> Classification:
        named = sorted(self.options[option].text for option in options if option >= 0)
        return _none(value, f"may be {' or '.join(named[:3])}" if len(named) > 1 else "may be several things")


_Key = TypeVar("_Key", bound=Hashable)
_Applied = tuple[AliasPack, dict[int, int]]
"""A pack that fits the options, and which option stands for which of its things."""


@dataclass(frozen=True)
class _Labels:
    """The texts that a value may be like, found by what they have in common with it.

    Args:
        labels: All of them.
        setting: What is known about them.
    """

    labels: tuple[Label, ...]
    setting: Setting

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The steps by which a value is compared."""
        return tuple(step for step in STEPS if not self.setting.closed or step.name in _STEPS_OF_CLOSED)

    def near(self, step: Step, spoken: tuple[str, ...]) -> Iterator[Label]:
        """The labels that a value may be like by a step, in their order.

        Args:
            step: One of the steps.
            spoken: The value's words.
        """
        by_key = self._by_key[step.name]
        places = {place for key in step.keys(spoken, self.setting) for place in by_key.get(key, ())}
        return (self.labels[place] for place in sorted(places))

    @cached_property
    def _by_key(self) -> Mapping[str, Mapping[Hashable, set[int]]]:
        return {
            step.name: _grouped(
                (key, place)
                for place, label in enumerate(self.labels)
                if label.words
                for key in step.keys(label.words, self.setting)
            )
            for step in self.steps
        }


@dataclass(frozen=True)
class _Numbers:
    """Options that are whole numbers, found by numbers that are written in another way: `2.0`, `02`.

    Where options have leading zeros, these are part of a code: a sheet of numbers may have lost all of them, if the
    codes are of one width; nobody has taken some away, or put some before a code.

    Args:
        texts: The texts of all options.
    """

    texts: tuple[str, ...]

    def options(self, value: str) -> set[int]:
        """The options that a value means by its number; empty for none."""
        number = _integer(value)
        return (
            self._by_number.get(number, set()) if number is not None and self._may_be_code(value) else set()
        )

    def _may_be_code(self, value: str) -> bool:
        whole = value.strip().partition(".")[0]
        widths = self._widths
        return (
            not widths or (widths == {len(whole)}) or (len(widths) == 1 and whole == whole.lstrip("0") != "")
        )

    @cached_property
    def _by_number(self) -> Mapping[int, set[int]]:
        read = ((_integer(text), index) for index, text in enumerate(self.texts))
        return _grouped((number, index) for number, index in read if number is not None)

    @cached_property
    def _widths(self) -> set[int]:
        """How many digits the codes have, if there are leading zeros among them; else empty."""
        codes = [text.strip() for text in self.texts if _integer(text) is not None]
        padded = any(len(code) > 1 and code.startswith("0") and code.isdigit() for code in codes)
        return {len(code) for code in codes} if padded else set()


def _none(value: str, reason: str) -> Classification:
    return Classification(value, None, 0, reason)


def _grouped(pairs: Iterable[tuple[_Key, int]]) -> dict[_Key, set[int]]:
    found: dict[_Key, set[int]] = {}
    for key, number in pairs:
        found.setdefault(key, set()).add(number)
    return found


def _integer(text: str) -> int | None:
    plain = text.strip()
    whole, point, decimals = plain.partition(".")
    if point and decimals.strip("0"):
        return None
    return int(whole) if whole.isascii() and whole.isdigit() and len(whole) < 18 else None
