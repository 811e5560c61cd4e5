"""Models that can be written in Python and in a component's YAML alike."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin

import dagster as dg
from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.fields import FieldInfo

from lume_dagster.checks.verdict import Level

OFF = "off"
_TEMPLATE = r"\{\{.*\}\}"


# YAML reads a bare `off` as false.
YamlLevel = Annotated[Level, BeforeValidator(lambda stated: OFF if stated is False else stated)]


class YamlModel(BaseModel, dg.Resolvable):
    """A frozen record of options, whose YAML is checked as strictly as its Python.

    Dagster lets a template, `"{{ ... }}"`, stand for any option, and so takes any text for it. Here a text has to
    hold a template where the option is no text itself, so that `dg check yaml` finds a wrong one, file and line.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    json_rules: ClassVar[Mapping[str, Any]] = {}

    @classmethod
    def model(cls) -> type[BaseModel]:
        """The model of the YAML, with this class's descriptions."""
        derived = super().model()
        stated = derived.model_config.get("json_schema_extra")

        def complete(schema: dict[str, Any]) -> None:
            schema.update(stated if isinstance(stated, dict) else {})
            schema.update(cls.json_rules)
            for name, field in cls.model_fields.items():
                schema["properties"][name] = _complete(schema["properties"][name], field)

        if not callable(stated):  # Dagster keeps the model it derived, which then is complete already
            derived.model_config["json_schema_extra"] = complete
        return derived


def _complete(shown: dict[str, Any], field: FieldInfo) -> dict[str, Any]:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    told = {"description": field.description} if field.description else {}
    if not _is_text(field) and "anyOf" in shown:
        shown = _strict(shown)
    return shown | told | extra


def _strict(shown: dict[str, Any]) -> dict[str, Any]:
    # Branches instead of alternatives: what is wrong is then told of the one that was meant.
    choices = [choice for choice in shown["anyOf"] if choice != {"type": "string"}]
    named = [
        {"enum": [*choice["enum"], False]} if OFF in choice.get("enum", ()) else choice
        for choice in choices
        if choice != {"type": "null"}
    ]
    (meant, *others) = named or [{"type": "null"}]
    if others:
        meant = {"anyOf": named}
    if len(named) < len(choices) and named:
        meant = {"if": {"type": "null"}, "else": meant}
    rest = {name: value for name, value in shown.items() if name != "anyOf"}
    return rest | {"if": {"type": "string", "pattern": _TEMPLATE}, "else": meant}


def _is_text(field: FieldInfo) -> bool:
    annotation: Any = field.annotation
    for resolver in field.metadata:
        if isinstance(resolver, dg.Resolver) and resolver.model_field_type is not None:
            annotation = resolver.model_field_type
    return annotation is str or (get_origin(annotation) in (Union, UnionType) and str in get_args(annotation))
