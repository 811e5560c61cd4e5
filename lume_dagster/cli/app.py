"""The command line: `lume-dagster`."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lume_dagster.cli.ci import checks_command, diff_command
from lume_dagster.cli.create import create_command
from lume_dagster.cli.learn import learn_command
from lume_dagster.client import (
    AlreadySucceededError,
    LumeClient,
    LumeError,
    LumeRun,
    Page,
    RunHandle,
    RunStatus,
    diff_flow_versions,
)
from lume_dagster.client.current_run import current_run
from lume_dagster.connect import LumeConnection
from lume_dagster.plain_text import visible, whole
from lume_dagster.results_file import write_results_file
from lume_dagster.urls import without_credentials

if TYPE_CHECKING:
    from lume_dagster.engine import FlowVersion
    from lume_dagster.service import ServiceSettings

Command = TypeVar("Command", bound=Callable[..., Any])

_PIPED_WIDTH = 1000
_INTERRUPTED = 130
_SAMPLE_REJECTS = 5
_RESULT_KINDS = click.Choice(["mapped", "rejects"])
_NEVER_WRAPPED = ("run", "flow version", "status", "created")
_STATUS_STYLES = {
    RunStatus.SUCCEEDED: "green",
    RunStatus.PARTIAL_FAILED: "yellow",
    RunStatus.FAILED: "red",
    RunStatus.CRASHED: "red",
}
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _paged(command: Command) -> Command:
    """The options of a command whose list comes page by page."""
    size = click.option("--size", type=click.IntRange(1, 100), default=20)
    page = click.option("--page", type=click.IntRange(min=1), default=1)
    return page(size(command))


@dataclass(frozen=True)
class Session:
    """What the commands share: the Lume, and where they print."""

    connection: LumeConnection
    console: Console

    @contextmanager
    def client(self) -> Iterator[LumeClient]:
        """A client; what Lume refuses ends the command with a message and exit code 1."""
        try:
            with self.connection.open() as client:
                yield client
        except (LumeError, ValueError, OSError) as error:
            raise click.ClickException(str(error)) from error

    def embedded_settings(self, max_upload: str | None = None) -> ServiceSettings:
        """The settings of the embedded Lume; what is wrong with them ends the command likewise."""
        try:
            return self.connection.embedded_settings(max_upload)
        except LumeError as error:
            raise click.ClickException(str(error)) from error


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--base-url", envvar="LUME_BASE_URL", help="URL of a hosted Lume; without it the embedded one is used."
)
@click.option("--home", envvar="LUME_HOME", help="Data of the embedded Lume.  [default: .lume]")
@click.option("--flows", envvar="LUME_FLOWS", help="Flow versions of the embedded Lume.  [default: flows]")
@click.version_option(package_name="lume-dagster")
@click.pass_context
def main(context: click.Context, base_url: str | None, home: str | None, flows: str | None) -> None:
    """Run Lume flow versions on batches, and see what became of them.

    The key of a hosted Lume is read from LUME_API_KEY.
    """
    # Where nobody reads along, nothing is cut to the width of a terminal.
    console = Console() if sys.stdout.isatty() else Console(width=_PIPED_WIDTH)
    context.obj = Session(LumeConnection(base_url=base_url, home=home, flows=flows), console)


@main.command("run")
@click.argument("flow_version", metavar="FLOW:VERSION")
@click.argument("source_path")
@click.option("--force-rerun", is_flag=True, help="Run the batch again although it was mapped before.")
@click.option(
    "--upload", is_flag=True, help="Hand over the file of this machine at SOURCE_PATH, and run that."
)
@click.option("--metadata", metavar="NAME=VALUE", multiple=True, help="Attach this to the run; repeatable.")
@_as_json
@click.pass_obj
def run_command(
    session: Session,
    flow_version: str,
    source_path: str,
    force_rerun: bool,
    upload: bool,
    metadata: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run a flow version on a batch, and wait for the end.

    SOURCE_PATH names the batch: a file that Lume can read, upload:..., a file that was handed over, or run:RUN_ID,
    the input that an earlier run has kept.

    Exits with 1 if the run ends FAILED or CRASHED. Interrupted, it cancels a run of the embedded Lume, and leaves
    one of a hosted Lume to go on.
    """
    with session.client() as client:
        if upload:
            source_path = client.upload_file(source_path)
        try:
            run = client.run(flow_version, source_path, _metadata_of(metadata), force_rerun)
        except AlreadySucceededError as error:
            raise click.ClickException(
                f"run {error.run_id} has mapped {source_path} before; `lume-dagster runs show {error.run_id}` "
                "shows it, --force-rerun runs the batch again"
            ) from error
        if run.undoes is not None:
            click.echo(
                f"the rerun takes the place of run {run.undoes.run_id}, and does not hold the corrections of "
                f"{run.undoes.records} records; hand them in again with `lume-dagster rejects resubmit`",
                err=True,
            )
        try:
            run = _wait(client, run)
        except KeyboardInterrupt:
            if session.connection.is_embedded:
                run = client.cancel(run)
            click.echo(f"interrupted: run {run.id} is {run.status}", err=True)
            sys.exit(_INTERRUPTED)
    _print_run(session, run, as_json)
    if run.failed:
        sys.exit(1)


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_as_json
@click.pass_obj
def upload(session: Session, file: Path, as_json: bool) -> None:
    """Hand a file over to Lume, and print the source path that names it from now on."""
    with session.client() as client:
        source_path = client.upload_file(file)
    if as_json:
        _print_json({"source_path": source_path})
    else:
        click.echo(source_path)


@main.group()
def runs() -> None:
    """List runs, and look into them."""


@runs.command("list")
@click.option("--flow-version", help="Only runs of this flow version.")
@click.option("--source-path", help="Only runs of this batch.")
@click.option("--status", help="Only runs of these statuses, separated by commas.")
@_paged
@_as_json
@click.pass_obj
def list_runs(
    session: Session,
    flow_version: str | None,
    source_path: str | None,
    status: str | None,
    page: int,
    size: int,
    as_json: bool,
) -> None:
    """List runs, newest first."""
    with session.client() as client:
        found = client.runs(flow_version, source_path, status, page, size)
    if as_json:
        _print_json(found)
        return
    table = _table("run", "flow version", "source path", "status", "source", "mapped", "rejected", "created")
    for run in found.items:
        created = run.created_at.strftime("%Y-%m-%d %H:%M:%S") if run.created_at else ""
        table.add_row(
            run.id, run.flow_version, Text(run.shown_source_path), _status(run), *_counts(run), created
        )
    _print_page(session, table, found, "runs")


@runs.command("show")
@click.argument("run_id")
@_as_json
@click.pass_obj
def show_run(session: Session, run_id: str, as_json: bool) -> None:
    """Show one run with all that is kept of it."""
    with session.client() as client:
        run = client.run_status(run_id)
    _print_run(session, run, as_json)


@runs.command("results")
@click.argument("run_id")
@click.option("--kind", type=_RESULT_KINDS, default="mapped", help="Mapped records, or rejects.")
@_paged
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all records to this .csv, .jsonl or .parquet file instead.",
)
@_as_json
@click.pass_obj
def show_results(
    session: Session, run_id: str, kind: Any, page: int, size: int, output: Path | None, as_json: bool
) -> None:
    """Print a page of the records that a run mapped or rejected, or write all of them to a file."""
    with session.client() as client:
        if output is not None:
            count = write_results_file(client, client.run_status(run_id), kind, output)
            if as_json:
                _print_json({"file": str(output), "records": count})
            else:
                click.echo(f"{output}: {count} records")
            return
        found = client.results(run_id, kind, page=page, size=size)
    if as_json:
        _print_json(found)
        return
    records = [item if isinstance(item, dict) else _reject_row(item) for item in found.items]
    table = _table(*(records[0] if records else ["no records"]))
    for record in records:
        table.add_row(*("" if value is None else Text(str(value)) for value in record.values()))
    _print_page(session, table, found, "records")


@runs.command("cancel")
@click.argument("run_id")
@_as_json
@click.pass_obj
def cancel_run(session: Session, run_id: str, as_json: bool) -> None:
    """Cancel a run. One that has ended stays as it is."""
    with session.client() as client:
        run = client.cancel(run_id)
    _print_run(session, run, as_json)


@main.group()
def rejects() -> None:
    """Work on the rejects of a batch."""


@rejects.command("resubmit")
@click.argument("flow_version", metavar="FLOW:VERSION")
@click.argument("source_path")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_as_json
@click.pass_obj
def resubmit_rejects(
    session: Session, flow_version: str, source_path: str, file: Path, as_json: bool
) -> None:
    """Map a batch again with the rejects that were corrected in FILE.

    FILE is the CSV file of the batch's rejects (`runs results RUN_ID --kind rejects --output FILE`): the source's
    columns hold corrected values. Records that are not in it, or still cannot be mapped, stay rejected. The new run
    holds the whole batch, and stands for it from then on. A file that was handed in before starts nothing; one of
    other records than those of the batch, as the source was read anew since, is refused.

    Exits with 1 if the run ends FAILED or CRASHED.
    """
    from lume_dagster.corrections.corrected_rejects import read_corrections  # noqa: PLC0415 - pyarrow is heavy

    with session.client() as client:
        current = current_run(client, flow_version, source_path)
        if current is None:
            raise ValueError(f"there is no run of {flow_version} on {source_path}; run the batch first")
        with file.open(encoding="utf-8-sig", newline="") as text:
            records = read_corrections(text, str(file), current, client)
        run = _wait(client, client.correct(current, records))
    if run.id == current.id:
        click.echo(f"{file} changes nothing: {run.id} holds the batch as it says", err=True)
    _print_run(session, run, as_json)
    if run.failed:
        sys.exit(1)


@main.group()
def flows() -> None:
    """List flow versions, look into them and compare them; check their files, and make new versions."""


@flows.command("list")
@_as_json
@click.pass_obj
def list_flows(session: Session, as_json: bool) -> None:
    """List the flows and their versions."""
    with session.client() as client:
        found = client.flows()
    if as_json:
        _print_json(found)
        return
    table = _table("flow", "versions")
    for flow in found:
        table.add_row(flow.name, ", ".join(flow.versions))
    session.console.print(table)


@flows.command("show")
@click.argument("flow_version", metavar="FLOW:VERSION")
@_as_json
@click.pass_obj
def show_flow(session: Session, flow_version: str, as_json: bool) -> None:
    """Show a flow version: its target fields, and where each comes from."""
    with session.client() as client:
        flow = client.flow_version(flow_version)
    if as_json:
        _print_json(flow)
        return
    session.console.print(f"{flow.flow_version}  [dim]{flow.fingerprint}[/dim]", highlight=False)
    session.console.print(Text((flow.description or "").strip()))
    table = _table("target field", "type", "from", "description")
    for name, schema in _target_fields(flow.target_schema, ""):
        stated = schema.get("format") or schema.get("type", "")
        table.add_row(
            name,
            stated if isinstance(stated, str) else ", ".join(stated),
            Text(", ".join(flow.lineage.get(name, ()))),
            Text(schema.get("description", "")),
        )
    session.console.print(table)


def _target_fields(schema: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All target fields with their schemas; those of objects by their paths."""
    for name, inner in schema.get("properties", {}).items():
        yield prefix + name, inner
        yield from _target_fields(inner, f"{prefix}{name}.")


@flows.command("check")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--sample", metavar="BATCH", help="Map this batch too, and say what would become of it.")
@_as_json
def check_flow(file: Path, sample: str | None, as_json: bool) -> None:
    """Check the file of a flow version, and what it makes of a sample.

    Nothing is kept or written to a target. Exits with 1 if the file is not valid, the sample cannot be read, or no
    record of it can be mapped.
    """
    from lume_dagster.engine import EngineError, load_flow  # noqa: PLC0415 - heavy, and an extra

    found = None
    try:
        flow = load_flow(file)
        if sample is not None:
            found = _map_sample(flow, sample)
    except EngineError as error:
        if as_json:
            _print_json({"file": str(file), "valid": False, "error": str(error)})
            sys.exit(1)
        raise click.ClickException(str(error)) from error
    if as_json:
        _print_json(
            {
                "file": str(file),
                "valid": True,
                "flow_version": flow.flow_version,
                "fingerprint": flow.fingerprint,
                **({"sample": found} if found else {}),
            }
        )
    else:
        click.echo(f"{file}: {flow.flow_version} is valid (fingerprint {flow.fingerprint[:12]})")
        if found:
            _print_sample(found)
    if found and not found["rows"]["mapped"]:
        sys.exit(1)


@flows.command("diff")
@click.argument("before", metavar="FLOW:VERSION")
@click.argument("after", metavar="FLOW:VERSION")
@_as_json
@click.pass_obj
def diff_flows(session: Session, before: str, after: str, as_json: bool) -> None:
    """Show what differs between two flow versions, field by field."""
    with session.client() as client:
        diff = diff_flow_versions(client.flow_version(before), client.flow_version(after))
    if as_json:
        _print_json(diff)
        return
    if diff.changes:
        table = _table("target field", "what", diff.before, diff.after)
        for change in diff.changes:
            was, now = (_json_text(value) for value in (change.before, change.after))
            table.add_row(
                Text(change.field or "(whole flow)"),
                Text(change.place),
                Text("" if change.kind == "added" else was),
                Text("" if change.kind == "removed" else now),
            )
        session.console.print(table)
    if diff.same_fingerprint:
        click.echo(f"{before} and {after} have the same fingerprint: they say the same")
    elif not diff.changes:
        click.echo(f"{before} and {after} differ in something that this Lume does not tell")


@flows.command("promote")
@click.argument("source", metavar="DRAFT.yaml|FLOW:VERSION")
@click.option("--flow", "name", help="The flow of a draft.  [default: the name of the folder it lies in]")
@_as_json
@click.pass_obj
def promote_flow(session: Session, source: str, name: str | None, as_json: bool) -> None:
    """Make a draft, or an older version, the next version of a flow.

    The file is checked, and copied to FLOW/vN.yaml in the folder of the flow versions. Versions that are there stay
    as they are.
    """
    if not session.connection.is_embedded:
        raise click.ClickException(
            "promote writes a file for the embedded Lume; leave out --base-url (LUME_BASE_URL)"
        )
    from lume_dagster.service.errors import ServiceError  # noqa: PLC0415 - heavy, and an extra
    from lume_dagster.service.flows import FlowCatalog  # noqa: PLC0415 - heavy, and an extra

    catalog = FlowCatalog(session.embedded_settings().flows)
    try:
        is_file = source.endswith((".yaml", ".yml"))
        file = Path(source) if is_file else catalog.path(source)
        flow = catalog.promote(name or file.absolute().parent.name, file)
    except ServiceError as error:
        raise click.ClickException(str(error)) from error
    written = catalog.path(flow.flow_version)
    if as_json:
        _print_json(
            {"flow_version": flow.flow_version, "fingerprint": flow.fingerprint, "file": str(written)}
        )
    else:
        click.echo(f"{source} is {flow.flow_version} now ({written}, fingerprint {flow.fingerprint[:12]})")


def _map_sample(flow: FlowVersion, sample: str) -> dict[str, Any]:
    """What becomes of a batch, mapped in a folder that is removed afterwards."""
    from lume_dagster.engine import Engine  # noqa: PLC0415 - heavy, and an extra

    with tempfile.TemporaryDirectory(prefix="lume-check-") as folder, Engine() as engine:
        place = Path(folder)
        result = engine.transform(flow, engine.ingest(flow, sample, place), place)
    return {
        "path": sample,
        "format": result.format,
        "encoding": result.encoding,
        "rows": {
            "source": result.source_rows,
            "mapped": result.mapped_rows,
            "rejected": result.rejected_rows,
        },
        "by_type": result.by_type,
        "by_field": result.by_field,
        "missing": result.missing,
        "unexpected": result.unexpected,
        "rejects": result.samples,
    }


def _print_sample(found: dict[str, Any]) -> None:
    rows = found["rows"]
    click.echo(
        f"{found['path']}: {rows['source']} records, {rows['mapped']} mapped, {rows['rejected']} rejected"
    )
    for said in ("missing", "unexpected"):
        if found[said]:
            click.echo(f"{said} columns: {', '.join(map(str, found[said]))}")
    for field, kinds in found["by_field"].items():
        click.echo(f"  {field}: " + ", ".join(f"{kind} {count}" for kind, count in kinds.items()))
    if count := found["by_type"].get("unparsable"):
        click.echo(f"  (the whole record): unparsable {count}")
    for reject in found["rejects"][:_SAMPLE_REJECTS]:
        reasons = "; ".join(
            f"{error['field'] or 'record'} {error['message']}"
            + (f": {error['value']!r}" if error["value"] is not None else "")
            for error in reject["errors"]
        )
        click.echo(f"row {reject['row_number']}: {reasons}")


@main.command()
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8642, help="Port to listen on.")
@click.option(
    "--max-upload",
    metavar="SIZE",
    help="How large a file may be that is handed over, such as 500MB (LUME_MAX_UPLOAD, else 1GiB).",
)
@click.pass_obj
def serve(session: Session, host: str, port: int, max_upload: str | None) -> None:
    """Serve the embedded Lume over HTTP.

    If LUME_API_KEY is set, each request has to carry it in the header lume-api-key.
    """
    if not session.connection.is_embedded:
        raise click.ClickException("serve is for the embedded Lume; leave out --base-url (LUME_BASE_URL)")
    try:
        from lume_dagster.service import server  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise click.ClickException(
            f"serve needs the package {error.name!r}: install 'lume-dagster[serve]'"
        ) from error
    settings = session.embedded_settings(max_upload)
    if settings.language_model_fault:
        raise click.ClickException(settings.language_model_fault)
    try:
        server.serve(settings, host=host, port=port)
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def _metadata_of(pairs: Sequence[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--metadata")
        found[name] = value
    return found


def _wait(client: LumeClient, run: LumeRun) -> RunHandle:
    """Waits for a run, with a line on the terminal that says how it goes."""
    progress = Console(stderr=True)
    if not progress.is_terminal:
        return client.wait(run)
    started = time.monotonic()
    with progress.status(f"{run.id} {run.status}") as line:

        def show(current: LumeRun) -> None:
            line.update(f"{current.id} {current.status}, {time.monotonic() - started:.0f} s")

        return client.wait(run, on_status=show)


def _print_run(session: Session, run: LumeRun, as_json: bool) -> None:
    if as_json:
        _print_json(run)
        return
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim")
    facts.add_row("run", run.id)
    facts.add_row("flow version", run.flow_version)
    facts.add_row("source path", Text(run.shown_source_path))
    if run.source is not None and run.source.file_name:
        facts.add_row("source file", Text(visible(run.source.file_name)))
    facts.add_row("status", _status(run))
    for name, count in zip(("source rows", "mapped", "rejected"), _counts(run), strict=True):
        facts.add_row(name, count)
    if run.duration_seconds is not None:
        facts.add_row("duration", f"{run.duration_seconds:.2f} s")
    if (locations := run.target_locations) is not None:
        facts.add_row("mapped at", Text(without_credentials(locations.mapped or "(nothing mapped)")))
        facts.add_row("rejects at", Text(without_credentials(locations.rejects or "")))
    if run.error_message:
        facts.add_row("error", Text(run.error_message, style="red"))
    session.console.print(facts, soft_wrap=True)
    if run.validation is not None and run.validation.counts:
        table = _table("rejected for field", "error", "records")
        for error in run.validation.counts:
            table.add_row(Text(error.field or "(whole record)"), error.type, str(error.count))
        session.console.print(table)


def _status(run: LumeRun) -> Text:
    return Text(run.status, style=_STATUS_STYLES.get(run.state, "") if run.state else "")


def _counts(run: LumeRun) -> Sequence[str]:
    return (
        [str(count) for count in (run.rows.source, run.rows.mapped, run.rows.rejected)]
        if run.rows
        else [""] * 3
    )


def _reject_row(reject: Any) -> dict[str, Any]:
    reasons = "; ".join(f"{error.field or 'record'}: {error.message}" for error in reject.errors)
    return {"row": reject.row_number, "reasons": reasons, "record": json.dumps(reject.source_record)}


def _json_text(value: Any) -> str:
    return whole(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column in _NEVER_WRAPPED)
    return table


def _print_page(session: Session, table: Table, page: Page[Any], what: str) -> None:
    session.console.print(table)
    session.console.print(f"page {page.page} of {max(page.pages, 1)}, {page.total} {what}", style="dim")


def _print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=2, default=_jsonable))


def _jsonable(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)


main.add_command(checks_command)
main.add_command(diff_command)
flows.add_command(create_command)
flows.add_command(learn_command)
