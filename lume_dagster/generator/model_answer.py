"""Reads what a language model answers: one JSON object, whatever words stand around it.

Its form is taken as it comes: a fence, a sentence, a key that nobody asked for or an entry that makes no sense do no
harm to the rest. What it says is judged elsewhere (see `advice`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lume_dagster.engine.document import Scalar

_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
_MOST_STARTS = 200
"""How many braces are tried: an answer may be full of them."""
_LONGEST_TOLD = 100


class AdviserError(Exception):
    """A language model gave no answer that is of use; the message says why, and holds no secret."""


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class FieldAdvice(_Part):
    """What a target field is to be made of."""

    field: str
    operation: dict[str, Any] | None = None


class ClassAdvice(_Part):
    """The option that a source value means."""

    field: str
    value: str
    option: Scalar | None = None


class _Answer(_Part):
    fields: list[Any] | None = Field(default=None, max_length=1_000)
    classes: list[Any] | None = Field(default=None, max_length=10_000)


@dataclass(frozen=True)
class Advice:
    """What a language model proposes.

    Attributes:
        fields: Operations.
        classes: Options.
        dropped: Where it is not of the form that was asked for, and why.
    """

    fields: tuple[FieldAdvice, ...]
    classes: tuple[ClassAdvice, ...]
    dropped: tuple[str, ...] = ()


def read_answer(text: str) -> Advice:
    """The one JSON object of an answer; entries of another form than was asked for are left out of it.

    Args:
        text: What the model answered.

    Raises:
        AdviserError: There is no such object, or more than one.
    """
    every = list(_objects(_THOUGHT.sub(" ", text)))
    found = [one for one in every if one.strip("{} \t\r\n")] or every[:1]
    if not found:
        raise AdviserError("its answer holds no JSON object with fields or classes")
    if len(found) > 1:
        raise AdviserError("its answer holds more than one JSON object")
    try:
        answer = _Answer.model_validate_json(found[0])
    except ValidationError as error:
        raise AdviserError(f"its answer is not of the form that was asked for ({_told(error)})") from None
    dropped: list[str] = []
    fields = tuple(_entries(FieldAdvice, "fields", answer.fields, dropped))
    classes = tuple(_entries(ClassAdvice, "classes", answer.classes, dropped))
    return Advice(fields, classes, tuple(dropped))


def _objects(text: str) -> Iterator[str]:
    """The JSON objects of a text that hold fields or classes, or nothing at all."""
    decoder = json.JSONDecoder()
    end = 0
    for start in [found.start() for found in re.finditer(r"\{", text)][:_MOST_STARTS]:
        if start < end:
            continue
        try:
            value, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if not value or value.keys() & _Answer.model_fields.keys():
            yield text[start:end]


_Entry = TypeVar("_Entry", bound=_Part)


def _entries(
    kind: type[_Entry], place: str, given: Iterable[Any] | None, dropped: list[str]
) -> Iterator[_Entry]:
    """The entries that are of a form; why the others are not is told in `dropped`."""
    for number, entry in enumerate(given or ()):
        try:
            yield kind.model_validate(entry)
        except ValidationError as error:
            dropped.append(_told(error, f"{place}.{number}"))


def _told(error: ValidationError, place: str = "") -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(filter(None, [place, *(str(part) for part in found["loc"])])) or "the answer"
    return f"{where[:_LONGEST_TOLD]}: {found['msg']}"
