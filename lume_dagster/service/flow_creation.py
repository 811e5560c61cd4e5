"""The file of a flow version that is made out of a sample, without anybody who would review it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from lume_dagster.engine import Engine, EngineError
from lume_dagster.generator.advice import take_advice
from lume_dagster.generator.drafting import Drafter
from lume_dagster.generator.flow_file import flow_file
from lume_dagster.generator.matching import SampleError
from lume_dagster.generator.sample import Sample
from lume_dagster.generator.trial import has_sure_column, read_wrongly, try_proposals
from lume_dagster.service.errors import InvalidRequestError, NoMapperError
from lume_dagster.service.language_model import LanguageModel
from lume_dagster.service.models import CreateFlow


def flow_from_sample(
    read: Callable[[Engine, Path], Sample], request: CreateFlow, language_model: LanguageModel | None = None
) -> str:
    """The text of a flow file, which maps at least one record of the sample, and at least one field for sure.

    Fields that are not sure are marked in it; a required field without a proposal is refused.

    Args:
        read: Reads the sample with an engine, in a folder that is removed afterwards.
        request: The target schema, and what the flow is for.
        language_model: Asked about what the rules leave open.

    Raises:
        InvalidRequestError: The sample cannot be read, or the target schema is not valid.
        NoMapperError: A required field has no proposal, no record of the sample can be mapped, or no field has a column
            that is sure.
    """
    with tempfile.TemporaryDirectory(prefix="lume-sample-") as folder, Engine() as engine:
        try:
            sample = read(engine, Path(folder))
            drafter = Drafter(sample, request.target_schema)
            draft, trial = try_proposals(engine, drafter, drafter.draft(request.description))
            if language_model is not None:
                draft, trial = take_advice(
                    engine, drafter, draft, trial, language_model, language_model.disclosure
                )
            wrongly = read_wrongly(draft, trial, sample)
            if draft.unmapped:
                names = [field.name for field in draft.unmapped]
                raise NoMapperError(
                    f"nothing in the sample is near enough to the required fields {', '.join(map(repr, names))}; "
                    "describe them better in the target schema, or make the flow with `lume-dagster flows create` and "
                    f"choose their columns{wrongly}",
                    fields=names,
                )
        except (EngineError, SampleError) as error:
            raise InvalidRequestError(str(error)) from error
    if not trial.mapped:
        raise NoMapperError(
            "no record of the sample can be mapped by what was proposed; rejected for "
            + ", ".join(f"{kind} ({count})" for kind, count in trial.by_type.items())
            + wrongly,
            by_field={field: dict(kinds) for field, kinds in trial.by_field.items()},
        )
    if not has_sure_column(draft):
        raise NoMapperError(
            "no field has a column of the sample that is sure; describe the fields better in the target schema, or "
            "make the flow with `lume-dagster flows create` and choose their columns" + wrongly
        )
    return flow_file(draft)
