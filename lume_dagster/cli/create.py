"""`lume-dagster flows create`: a flow out of a sample, reviewed on the terminal."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Group
from rich.table import Table
from rich.text import Text

from lume_dagster.client import LumeError, LumeRun
from lume_dagster.plain_text import visible

if TYPE_CHECKING:
    from lume_dagster.cli.app import Session
    from lume_dagster.engine import Engine
    from lume_dagster.generator.drafting import Draft, Drafter, DraftField
    from lume_dagster.generator.profile import Profile
    from lume_dagster.generator.sample import Sample
    from lume_dagster.generator.trial import Trial
    from lume_dagster.service.flows import FlowCatalog
    from lume_dagster.service.language_model import LanguageModel

_SHOWN_TEXT = 40
_SHOWN_MESSAGE = 1_000
_NARROW = 100
"""Below so many columns the values stand below a field's proposal, not beside it."""
_DRAFT = "draft.yaml"
_SOURCE = re.compile(r"\bsource\.(format|delimiter|encoding|sheet|header_row|null_values)\b")
_SET_SOURCE = re.compile(r"\bset source\.(format|delimiter|encoding|sheet|header_row): (\S+)")
_OPTION_OF = {"header_row": "header-row", "null_values": "null-value"}


@click.command("create")
@click.argument("name")
@click.option(
    "--source", "source_path", metavar="BATCH", required=True, help="The sample: a batch, or run:RUN_ID."
)
@click.option(
    "--target-schema",
    "schema_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="JSON Schema of one target record (.json, .yaml), or records in the wanted form (.csv).",
)
@click.option("--version", "version", default="v1", help="The version to make.")
@click.option(
    "--format",
    "source_format",
    type=click.Choice(["csv", "parquet", "jsonl", "json", "excel"]),
    help="How the sample is written.  [default: by its extension]",
)
@click.option(
    "--delimiter", help="The one character between two fields of a CSV sample, or tab.  [default: found out]"
)
@click.option("--encoding", help="Of a CSV or JSON sample, by its Python name.  [default: found out]")
@click.option(
    "--sheet", help="The sheet of a workbook, by its name or its number (1 to 99).  [default: the first]"
)
@click.option(
    "--header-row",
    type=click.IntRange(1, 1_000_000),
    help="The row of the sheet with the names of the columns.  [default: 1]",
)
@click.option(
    "--null-value", "null_values", multiple=True, help="A text that means that a value is absent; repeatable."
)
@click.option(
    "--yes",
    is_flag=True,
    help="Ask nothing: take over what is sure, and mark the rest in the file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--llm-base-url",
    metavar="URL",
    help="An OpenAI-compatible API whose language model is asked about what is left open; its key is read from "
    "LUME_LLM_API_KEY. Without it (and without LUME_LLM_BASE_URL) nothing leaves this machine.",
)
@click.option("--llm-model", metavar="NAME", help="The model (LUME_LLM_MODEL).")
@click.option(
    "--llm-sample-values",
    metavar="N",
    type=click.IntRange(0, 50),
    help="How many values of a column it may see (LUME_LLM_SAMPLE_VALUES, else 5).",
)
@click.option("--llm-mask", is_flag=True, help="It may see only how values are written (LUME_LLM_MASK).")
@click.option("--no-llm", is_flag=True, help="Ask no language model, although one is configured.")
@click.pass_obj
def create_command(
    session: Session,
    name: str,
    source_path: str,
    schema_file: Path,
    version: str,
    source_format: str | None,
    delimiter: str | None,
    encoding: str | None,
    sheet: str | None,
    header_row: int | None,
    null_values: tuple[str, ...],
    yes: bool,
    as_json: bool,
    llm_base_url: str | None,
    llm_model: str | None,
    llm_sample_values: int | None,
    llm_mask: bool,
    no_llm: bool,
) -> None:
    """Make a flow out of a sample: propose a mapper, try it, review it, write it, and run it on the sample.

    The file is FLOWS/NAME/VERSION.yaml; none that is there is touched. A required field without a proposal, with --yes,
    and a mapper that maps no record of the sample, or has no column that is sure, leave a draft for editing instead,
    FLOWS/NAME/draft.yaml, and exit code 1.

    What a language model proposes counts only if it holds on the sample, and is marked for review.
    """
    if not session.connection.is_embedded:
        raise click.ClickException(
            "create writes a file for the embedded Lume; leave out --base-url (LUME_BASE_URL), or call create_flow "
            "of the client"
        )
    if not yes and (as_json or not _is_terminal()):
        raise click.ClickException("there is no terminal to review the proposals on; give --yes")
    from lume_dagster.engine import Engine, EngineError  # noqa: PLC0415 - heavy, and an extra
    from lume_dagster.generator.advice import take_advice  # noqa: PLC0415
    from lume_dagster.generator.drafting import Drafter  # noqa: PLC0415
    from lume_dagster.generator.matching import SampleError  # noqa: PLC0415
    from lume_dagster.generator.trial import try_proposals  # noqa: PLC0415
    from lume_dagster.service.errors import ServiceError  # noqa: PLC0415
    from lume_dagster.service.flows import FlowCatalog  # noqa: PLC0415
    from lume_dagster.service.runs import LumeService  # noqa: PLC0415

    given = {
        "base_url": llm_base_url,
        "model": llm_model,
        "sample_values": llm_sample_values,
        "mask": llm_mask or None,
    }
    model = None if no_llm else _language_model(session, given)
    flow_version = f"{name}:{version}"
    settings = session.embedded_settings()
    catalog = FlowCatalog(settings.flows)
    source = _source(source_format, delimiter, encoding, sheet, header_row, null_values)
    try:
        catalog.check_free(flow_version)
        target_schema, wanted = read_wanted(schema_file)
        with (
            tempfile.TemporaryDirectory(prefix="lume-sample-") as folder,
            Engine() as engine,
            closing(LumeService(settings)) as service,
        ):
            sample = service.sample(engine, source_path, source, Path(folder))
            drafter = Drafter(sample, target_schema, wanted)
            draft = drafter.draft(f"Drafted from a sample, {Path(source_path).name}.")
            draft, trial = try_proposals(engine, drafter, draft)
            if model is not None:
                draft, trial = take_advice(engine, drafter, draft, trial, model, model.disclosure)
            if not yes:
                draft, trial = _Review(session, engine, drafter, trial).of(draft)
            elif not as_json:
                _print_draft(session, draft, trial, sample)
        file, refusal = _write(catalog, flow_version, draft, trial, sample)
    except (EngineError, SampleError, ServiceError, ValueError) as error:
        raise click.ClickException(_by_options(str(error))) from error
    if refusal:
        if as_json:
            click.echo(json.dumps(_told(draft, trial, sample, file=str(file)), indent=2))
        raise refusal
    with session.client() as client:
        run = client.run(flow_version, source_path).wait()
    if as_json:
        told = _told(draft, trial, sample, file=str(file), flow_version=flow_version, run=_run_told(run))
        click.echo(json.dumps(told, indent=2))
    else:
        _print_made(draft, flow_version, file, run)
    if run.failed:
        sys.exit(1)


def _source(
    source_format: str | None,
    delimiter: str | None,
    encoding: str | None,
    sheet: str | None,
    header_row: int | None,
    null_values: tuple[str, ...],
) -> dict[str, Any]:
    """What the options say of the sample, as a flow file says it of its source."""
    said = {
        "format": source_format,
        "delimiter": "\t" if delimiter in ("\\t", "tab") else delimiter,
        "encoding": encoding,
        "sheet": int(sheet) if sheet and re.fullmatch("[0-9]{1,2}", sheet) else sheet,
        "header_row": header_row,
        "null_values": list(dict.fromkeys(("", *null_values))) if null_values else None,
    }
    return {key: value for key, value in said.items() if value is not None}


def read_wanted(file: Path) -> tuple[dict[str, Any], Profile | None]:
    """A target schema from its file, and the records in the wanted form if it is made of these.

    Raises:
        FlowError: The file cannot be read.
        ValueError: It holds no schema, or no records.
    """
    from lume_dagster.engine.yaml_document import parse_yaml, read_text  # noqa: PLC0415
    from lume_dagster.generator.derived_schema import derive_schema  # noqa: PLC0415
    from lume_dagster.generator.profile import profile_csv  # noqa: PLC0415

    if file.suffix.lower() == ".csv":
        wanted = profile_csv(file, delimiter=_delimiter_of(file))
        return derive_schema(wanted), wanted
    if file.suffix.lower() not in (".json", ".yaml", ".yml"):
        raise ValueError(f"{file}: a target schema is a .json or .yaml file, or a .csv of wanted records")
    schema = parse_yaml(read_text(file), str(file))
    if not isinstance(schema, dict):
        raise ValueError(f"{file}: must hold an object, the JSON Schema of one target record")  # noqa: TRY004
    return schema, None


def _delimiter_of(file: Path) -> str:
    """The delimiter of a CSV file by its header: a comma if it has one."""
    with file.open(encoding="utf-8", errors="replace") as lines:
        header = lines.readline()
    return max(",;\t|", key=header.count) if "," not in header else ","


def _useless(draft: Draft, trial: Trial) -> str | None:
    """Why a draft would map no record, or no field for sure, and what to do; None if it would map some."""
    from lume_dagster.generator.trial import has_sure_column  # noqa: PLC0415

    if draft.unmapped:
        names = ", ".join(field.name for field in draft.unmapped)
        return f"required fields without a proposal: {names}. Map them"
    if not trial.mapped:
        kinds = ", ".join(f"{kind} {count}" for kind, count in trial.by_type.items())
        return f"no record of the sample can be mapped; rejected for {kinds}. Mend the mapper"
    if not has_sure_column(draft):
        return "no field has a column of the sample that is sure. Look at the mapper"
    return None


def _by_options(message: str) -> str:
    """A message with the options of the command for what a flow file says of its source."""
    message = _SET_SOURCE.sub(
        lambda found: f"give --{_OPTION_OF.get(found[1], found[1])} {found[2]}", message
    )
    return _SOURCE.sub(lambda found: f"--{_OPTION_OF.get(found[1], found[1])}", message)


def _write(
    catalog: FlowCatalog, flow_version: str, draft: Draft, trial: Trial, sample: Sample
) -> tuple[Path, click.ClickException | None]:
    """Writes the version; or a draft to edit where it would map nothing, and what to end the command with then."""
    from lume_dagster.generator.flow_file import flow_file  # noqa: PLC0415
    from lume_dagster.generator.trial import read_wrongly  # noqa: PLC0415

    wrongly = visible(_by_options(read_wrongly(draft, trial, sample)), _SHOWN_MESSAGE)
    if all(field.is_open for field in draft.fields):
        raise click.ClickException(f"no field gets a column of the sample{wrongly}")
    text = flow_file(draft)
    if why := _useless(draft, trial):
        file = catalog.keep_draft(flow_version.partition(":")[0], _DRAFT, text)
        return file, click.ClickException(
            f"{why} in {file}, and then: lume-dagster flows promote {file}{wrongly}"
        )
    catalog.create(flow_version, text)
    return catalog.path(flow_version), None


def _language_model(session: Session, given: dict[str, Any]) -> LanguageModel | None:
    from lume_dagster.service.language_model import LanguageModel  # noqa: PLC0415 - an extra

    try:
        settings = session.connection.language_model(given)
    except LumeError as error:
        raise click.ClickException(str(error)) from error
    return LanguageModel(settings) if settings else None


def _is_terminal() -> bool:
    return sys.stdin.isatty()


class _Review:
    """Goes through the fields with the person at the terminal."""

    def __init__(self, session: Session, engine: Engine, drafter: Drafter, trial: Trial) -> None:
        from lume_dagster.cli.create_answers import Answers  # noqa: PLC0415 - an extra

        self._session = session
        self._engine = engine
        self._drafter = drafter
        self._trial = trial
        self._answers = Answers(drafter)

    def of(self, draft: Draft) -> tuple[Draft, Trial]:
        """The draft as it was reviewed, and what becomes of the sample by it."""
        _print_draft(self._session, draft, self._trial, self._drafter.sample)
        for field in draft.marked:
            draft = self._tried(draft.with_field(self._answers.ask(field)))
        while True:
            for field in draft.unmapped:
                click.echo(f"{visible(field.name)} is required: as it stands, each record is rejected")
                draft = self._tried(draft.with_field(self._answers.ask(field)))
            if draft.unmapped:
                continue
            _print_draft(self._session, draft, self._trial, self._drafter.sample)
            name = click.prompt("Field to change (none writes the flow)", default="", show_default=False)
            if not name:
                return draft, self._trial
            try:
                draft = self._tried(draft.with_field(self._answers.ask(draft.field(name))))
            except KeyError:
                click.echo(f"there is no field {visible(name)}")

    def _tried(self, draft: Draft) -> Draft:
        from lume_dagster.generator.trial import try_draft  # noqa: PLC0415

        draft, self._trial = try_draft(self._engine, draft, self._drafter.sample)
        return draft


def _print_draft(session: Session, draft: Draft, trial: Trial, sample: Sample) -> None:
    from lume_dagster.cli.create_answers import proposed  # noqa: PLC0415 - an extra

    table = Table(box=None, header_style="bold", pad_edge=False)
    is_narrow = session.console.width < _NARROW
    values = () if is_narrow else ("before", "after")
    for column in ("target field", "proposal", "confidence", *values, "rejects"):
        table.add_column(column)
    for field in draft.fields:
        sure = "chosen" if field.chosen else "" if field.operation is None else f"{field.confidence:.2f}"
        made = Text(proposed(field), style="" if field.accepted else "yellow")
        shown = [
            [visible(text, _SHOWN_TEXT) for text in texts]
            for texts in (_before(field, sample), trial.after.get(field.name, ()))
        ]
        below = (
            Text(f"{word}: {' | '.join(texts)}", no_wrap=True, overflow="ellipsis")
            for word, texts in zip(("before", "after"), shown, strict=True)
            if texts
        )
        table.add_row(
            Text(visible(field.name) + (" *" if field.required else "")),
            Group(made, *below) if is_narrow else made,
            Text(sure if field.accepted else f"{sure} ?".strip()),
            *(() if is_narrow else (Text("\n".join(texts)) for texts in shown)),
            Text(str(trial.rejects(field.name) or "")),
        )
    session.console.print(table)
    for note in draft.notes:
        click.echo(visible(note))
    kinds = ", ".join(f"{kind} {count}" for kind, count in trial.by_type.items())
    click.echo(
        f"{trial.rows} records of the sample: {trial.mapped} mapped, {trial.rejected} rejected"
        + (f" (errors: {kinds})" if kinds else "")
        + " (* required, ? to be looked at)"
    )


def _before(field: DraftField, sample: Sample) -> tuple[str, ...]:
    """What stands in the source columns of a field: each record's values side by side."""
    if len(field.sources) == 1:
        return sample.shown(field.sources[0])
    first = sample.table.select(list(dict.fromkeys(field.sources))).slice(0, 3).to_pylist()
    return tuple(", ".join(str(value) for value in record.values()) for record in first if record)


def _print_made(draft: Draft, flow_version: str, file: Path, run: LumeRun) -> None:
    click.echo(f"{flow_version} is written ({file})")
    if marked := [field.name for field in draft.marked]:
        click.echo(f"marked for review in it: {', '.join(map(visible, marked))}")
    click.echo(f"first run {run.id}: {run.status}, {run.rows or 'no rows'}")


def _told(draft: Draft, trial: Trial, sample: Sample, **more: Any) -> dict[str, Any]:
    return {
        **more,
        "fields": [
            {
                "field": field.name,
                "required": field.required,
                "sources": list(field.sources),
                "operation": field.entry,
                "confidence": round(field.confidence, 3),
                "accepted": field.accepted,
                "advised_by": field.advised_by,
                "reasons": list(field.reasons),
                "notes": list(field.notes),
                "runners_up": [
                    {"source": one.source, "confidence": one.confidence} for one in field.runners_up
                ],
                "before": list(_before(field, sample)),
                "after": list(trial.after.get(field.name, ())),
                "rejects": trial.by_field.get(field.name, {}),
            }
            for field in draft.fields
        ],
        "notes": list(draft.notes),
        "sample": {"rows": trial.rows, "mapped": trial.mapped, "rejected": trial.rejected},
    }


def _run_told(run: LumeRun) -> dict[str, Any]:
    return {"id": run.id, "status": run.status, "error_message": run.error_message}
