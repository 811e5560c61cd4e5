"""`dg scaffold defs lume_dagster.LumeFlowComponent`: a first defs.yaml for flow versions that Lume knows."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, Literal

import click
import dagster as dg
from pydantic import BaseModel, ConfigDict, Field

from lume_dagster.client import FlowInfo, LumeClient, LumeError
from lume_dagster.resource import LumeResource
from lume_dagster.urls import refuse_credentials

_COMMENTS = {
    "source_path": "What names a batch to Lume. {partition_key} is the key of the batch's partition.",
    "partitions": "The batches: hourly, daily, weekly, monthly, static, dynamic or time_window.",
    "checks": "A batch that fails a check at level error goes no further.",
}


class LumeFlowScaffoldParams(BaseModel):
    """What `dg scaffold` takes."""

    model_config = ConfigDict(extra="forbid")

    flow_version: list[str] = Field(
        default_factory=list,
        description="Flow version, NAME:vN, or the name of a flow for its latest version. May be given several times.",
    )
    source_path: str | None = Field(
        default=None, description="What names a batch to Lume, with {partition_key} in it."
    )
    partitions: Literal["daily", "weekly", "monthly"] = Field(
        default="daily", description="How the batches follow each other."
    )
    start_date: str | None = Field(
        default=None, description="Date of the first batch; the first of this month if not given."
    )
    base_url: str | None = Field(default=None, description="URL of a hosted Lume.")


class LumeFlowScaffolder(dg.Scaffolder[LumeFlowScaffoldParams]):
    """Asks the Lume for its flows and writes the YAML for those that are wanted."""

    @classmethod
    def get_scaffold_params(cls) -> type[LumeFlowScaffoldParams]:
        """What `dg scaffold` takes."""
        return LumeFlowScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[LumeFlowScaffoldParams]) -> None:
        """Writes defs.yaml.

        Raises:
            click.ClickException: Lume could not be asked, or does not know a flow version (the message lists those
                it knows); or the source path or the base URL holds credentials.
        """
        params = request.params
        # Somebody waits at the terminal: a Lume out of reach is told at once.
        lume = LumeResource(base_url=params.base_url, outage_budget_seconds=0)
        try:
            refuse_credentials(params.source_path or "")
            with lume.connection.open() as client:
                versions = _wanted(client, params.flow_version)
        except (LumeError, ValueError) as error:
            _remove_if_empty(request.target_path)
            raise click.ClickException(f"{lume.connection}: {error}") from error
        if request.scaffold_format == "python":
            dg.scaffold_component(request)
            return
        target = request.target_path if request.append else request.target_path / "defs.yaml"
        with target.open("a" if request.append else "w", encoding="utf-8") as file:
            file.write(("---\n" if request.append else "") + _yaml(request.type_name, versions, params))


def _remove_if_empty(folder: Path) -> None:
    # dg makes it beforehand, and would refuse to scaffold there again.
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _wanted(client: LumeClient, stated: list[str]) -> list[str]:
    known = {flow.name: flow for flow in client.flows()}
    listed = ", ".join(f"{flow.name}:{version}" for flow in known.values() for version in flow.versions)
    if not listed:
        raise LumeError("there are no flow versions; write one: flows/NAME/v1.yaml")
    if not stated:
        raise LumeError(f"say which flow with --flow-version; there are {listed}")
    return [_version(known, wanted, listed) for wanted in stated]


def _version(known: dict[str, FlowInfo], wanted: str, listed: str) -> str:
    name, _, version = wanted.partition(":")
    flow = known.get(name)
    if flow is None or not flow.versions or (version and version not in flow.versions):
        raise LumeError(f"there is no flow version {wanted!r}; there are {listed}")
    return f"{name}:{version or flow.versions[-1]}"


def _yaml(type_name: str, versions: list[str], params: LumeFlowScaffoldParams) -> str:
    start = params.start_date or date.today().replace(day=1).isoformat()  # noqa: DTZ011 - a first guess
    lines = [f"type: {type_name}", "attributes:"]
    if params.base_url:
        lines += ["  lume:", f"    base_url: {_scalar(params.base_url)}"]
    lines.append("  flows:")
    for version in versions:
        name = version.partition(":")[0]
        source = params.source_path or f"data/incoming/{name}/{{partition_key}}.csv"
        lines += [
            f"    - flow_version: {version}",
            *_commented("source_path", _scalar(source)),
            *_commented("partitions", f"{{type: {params.partitions}, start_date: {_scalar(start)}}}"),
            *_commented("checks", None),
            "        reject_rate_warn: 0.02",
            "        reject_rate_error: 0.1",
        ]
    return "\n".join(lines) + "\n"


def _commented(option: str, value: str | None) -> list[str]:
    return [f"      # {_COMMENTS[option]}", f"      {option}:" + (f" {value}" if value else "")]


def _scalar(text: Any) -> str:
    return "'" + str(text).replace("'", "''") + "'"
