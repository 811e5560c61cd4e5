"""`lume-dagster flows learn`: the next version of a flow knows the values that runs rejected."""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from lume_dagster.client import LumeClient, LumeRun, RunStatus
from lume_dagster.plain_text import visible, whole

if TYPE_CHECKING:
    from lume_dagster.cli.app import Session
    from lume_dagster.generator.learning import Learned

_WITH_REJECTS = ",".join((RunStatus.PARTIAL_FAILED, RunStatus.FAILED))


@click.command("learn")
@click.argument("flow_version", metavar="FLOW:VERSION")
@click.option(
    "--run",
    "run_ids",
    metavar="RUN_ID",
    multiple=True,
    help="Only rejects of this run, of any version of the flow; repeatable.",
)
@click.option("--yes", is_flag=True, help="Ask nothing: take over what is sure.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def learn_command(
    session: Session, flow_version: str, run_ids: tuple[str, ...], yes: bool, as_json: bool
) -> None:
    """Classify the values that runs of a flow version rejected, and write the next version with them.

    FLOW:VERSION is the newest version. What is looked at are the rejects of the types lookup and enum, of all its
    runs if none is named. The version that is there stays as it is.
    """
    if not session.connection.is_embedded:
        raise click.ClickException(
            "learn writes a file for the embedded Lume; leave out --base-url (LUME_BASE_URL)"
        )
    from lume_dagster.engine import EngineError  # noqa: PLC0415 - heavy, and an extra
    from lume_dagster.engine.yaml_document import read_text  # noqa: PLC0415
    from lume_dagster.generator.classification import SUGGEST  # noqa: PLC0415
    from lume_dagster.generator.learning import learn, next_version  # noqa: PLC0415
    from lume_dagster.service.errors import ServiceError  # noqa: PLC0415
    from lume_dagster.service.flows import FlowCatalog  # noqa: PLC0415

    catalog = FlowCatalog(session.embedded_settings().flows)
    written, path = None, None
    try:
        flow = catalog.load(flow_version)
        if (newest := catalog.newest(flow.name)) != flow_version:
            raise click.ClickException(
                f"{newest} is newer than {flow_version}: learn {newest}, and name runs of {flow_version} by --run"
            )
        with session.client() as client:
            rejected = _rejected(client, flow_version, run_ids)
        learned = learn(flow, rejected)
        if not as_json:
            _print(session, learned)
        taken = [one for one in learned if one.found.accepted]
        suggested = [
            one
            for one in learned
            if one.found.option is not None and one.found.confidence >= SUGGEST and not one.found.accepted
        ]
        if not yes and (taken or suggested):
            if as_json or not _is_terminal():
                raise click.ClickException("there is no terminal to confirm the values on; give --yes")
            taken = [one for one in (*taken, *suggested) if _confirmed(one)]
        if taken:
            text = next_version(read_text(catalog.path(flow_version)), flow, taken)
            with tempfile.TemporaryDirectory(prefix="lume-learn-") as folder:
                file = Path(folder) / "draft.yaml"
                file.write_text(text, encoding="utf-8", newline="")
                written = catalog.promote(flow.name, file).flow_version
            path = catalog.path(written)
    except (EngineError, ServiceError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        values = [{**asdict(one), **asdict(one.found), "taken": one in taken} for one in learned]
        for value in values:
            del value["found"]
        click.echo(
            json.dumps({"flow_version": written, "file": path and str(path), "values": values}, indent=2)
        )
    elif written is None:
        click.echo("nothing is taken over; no version was written")
    else:
        click.echo(
            f"{len(taken)} values are in {written} ({path}); run it on the batches to map their rejects"
        )


def _rejected(client: LumeClient, flow_version: str, run_ids: tuple[str, ...]) -> Counter[tuple[str, str]]:
    """How many rejects there are for each target field and value that was not known."""
    from lume_dagster.generator.learning import REJECT_TYPES  # noqa: PLC0415 - heavy, and an extra

    found: Counter[tuple[str, str]] = Counter()
    for run in _runs(client, flow_version, run_ids):
        if run.validation is None or not set(REJECT_TYPES) & {error.type for error in run.validation.counts}:
            continue
        for reject in client.iter_results(run, "rejects"):
            for error in reject.errors:
                if error.type in REJECT_TYPES and error.field is not None and error.value is not None:
                    found[error.field, error.value] += 1
    return found


def _runs(client: LumeClient, flow_version: str, run_ids: tuple[str, ...]) -> Iterator[LumeRun]:
    if not run_ids:
        seen: set[str] = set()
        for run in client.iter_runs(flow_version, status=_WITH_REJECTS):
            if run.source_path not in seen:  # an earlier run of the same batch rejected the same values
                seen.add(run.source_path)
                yield run
        return
    for run_id in run_ids:
        run = client.run_status(run_id)
        name = flow_version.partition(":")[0]
        if run.flow_version.partition(":")[0] != name:
            raise click.ClickException(f"run {run_id} is one of {run.flow_version}, not of the flow {name}")
        yield run


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _confirmed(one: Learned) -> bool:
    found = one.found
    return click.confirm(
        f"{visible(one.field)}: take {whole(found.value)} as {whole(str(found.option))} ({found.confidence:.2f})?",
        default=found.accepted,
    )


def _print(session: Session, learned: tuple[Learned, ...]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("target field", "value", "records", "means", "confidence", "why"):
        table.add_column(column)
    for one in learned:
        found = one.found
        means = "" if found.option is None else whole(str(found.option))
        table.add_row(
            Text(visible(one.field)),
            Text(whole(found.value)),
            str(one.records),
            Text(means),
            f"{found.confidence:.2f}" if means else "",
            Text(visible(found.reason)),
        )
    session.console.print(table)
