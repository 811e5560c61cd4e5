"""The commands that a CI job calls: `lume-dagster checks` and `lume-dagster diff`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lume_dagster.client import LumeError
from lume_dagster.whole_file import whole_file

if TYPE_CHECKING:
    from lume_dagster.cli.app import Session

_FOUND = 1


@click.command("checks")
@click.option(
    "-p",
    "--partition",
    "partitions",
    multiple=True,
    required=True,
    help="A batch; may be given more than once.",
)
@click.option("-m", "--module-name", default="definitions", help="Module that holds the Definitions.")
@click.option(
    "-d",
    "--working-directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="Where the module is imported from.",
)
@click.option(
    "--flow-version", "flow_versions", multiple=True, help="Only checks on the assets of this flow version."
)
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit XML here.")
@click.option("--non-blocking", is_flag=True, help="Fail on errors of checks that stop nothing, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def checks_command(
    partitions: tuple[str, ...],
    module_name: str,
    working_directory: Path,
    flow_versions: tuple[str, ...],
    junit: Path | None,
    non_blocking: bool,
    as_json: bool,
) -> None:
    """Report the latest check results of batches, from the Dagster instance in DAGSTER_HOME.

    Exits with 1 where a blocking check failed with ERROR, or was not evaluated since the batch was last
    materialized. Nothing is run: materialize the batches first, for instance with `dg launch`.
    """
    import dagster as dg  # noqa: PLC0415 - the other commands need no Dagster

    from lume_dagster.checks.report import check_outcomes, load_definitions, write_junit  # noqa: PLC0415

    try:
        definitions = load_definitions(module_name, working_directory)
        with dg.DagsterInstance.get() as instance:
            outcomes = check_outcomes(instance, definitions, partitions, flow_versions)
        if junit is not None:
            write_junit(outcomes, junit, non_blocking=non_blocking)
    except (LumeError, dg.DagsterHomeNotSetError, OSError) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))
    else:
        widths = [max(len(text) for text in column) for column in zip(*map(_cells, outcomes), strict=True)]
        for outcome in outcomes:
            cells = (text.ljust(width) for text, width in zip(_cells(outcome), widths, strict=True))
            click.echo("  ".join((*cells, outcome.message)).rstrip())
    if any(outcome.is_error(non_blocking=non_blocking) for outcome in outcomes):
        sys.exit(_FOUND)


def _cells(outcome: object) -> tuple[str, ...]:
    return tuple(str(getattr(outcome, name)) for name in ("partition", "asset", "check", "state"))


@click.command("diff")
@click.argument("before", metavar="FLOW:VERSION")
@click.argument("after", metavar="FLOW:VERSION")
@click.option(
    "-b", "--batch", "batches", multiple=True, required=True, help="A batch; may be given more than once."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    help="How to print it.",
)
@click.option(
    "--samples", type=click.IntRange(0, 1000), default=5, help="Records to show of each kind of change."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it here instead of printing it.",
)
@click.option("--exit-code", is_flag=True, help="Exit with 1 if anything changes.")
@click.pass_obj
def diff_command(
    session: Session,
    before: str,
    after: str,
    batches: tuple[str, ...],
    form: str,
    samples: int,
    output: Path | None,
    exit_code: bool,
) -> None:
    """Show what another flow version makes of the same batches.

    Both flow versions run on the same stored input of each batch: which records change their verdict, and which
    values change, field by field. Values of sensitive fields are masked.
    """
    from lume_dagster.diff import as_json, as_markdown, as_text, diff_batches  # noqa: PLC0415 - imports Dagster

    with session.client() as client:
        found = diff_batches(client, before, after, batches, samples=samples)
    text = {"text": as_text, "json": as_json, "markdown": as_markdown}[form](found)
    if output is None:
        click.echo(text)
    else:
        try:
            with whole_file(output) as partial:
                partial.write_text(f"{text}\n", encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"cannot write {output}: {error.strerror}") from error
    if exit_code and not found.is_empty:
        sys.exit(_FOUND)
