"""The latest results of asset checks, as a report for CI: a table, and JUnit XML."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import dagster as dg
from dagster.components.definitions import LazyDefinitions

from lume_dagster.assets.metadata import FLOW_VERSION, latest_materialization_record
from lume_dagster.checks.lume_checks import STATUS_CHECK
from lume_dagster.client import LumeError
from lume_dagster.whole_file import whole_file

if TYPE_CHECKING:
    from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord

CheckState = Literal["passed", "warned", "failed", "missing"]

# What XML 1.0 cannot hold, not even as a reference (https://www.w3.org/TR/xml/#charsets).
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class CheckOutcome:
    """The latest result of a check on a batch.

    Attributes:
        flow_version: The flow version of the asset.
        asset: The asset's key.
        check: The check's name.
        partition: The batch.
        blocking: Whether the check stands before what is downstream.
        state: Passed; failed as a warning; failed as an error; or not there, so that nothing is known.
        message: What the check says.
    """

    flow_version: str
    asset: str
    check: str
    partition: str
    blocking: bool
    state: CheckState
    message: str

    def is_error(self, *, non_blocking: bool) -> bool:
        """Whether it fails a build.

        Args:
            non_blocking: Whether an error of a check that stops nothing counts too.
        """
        return self.state == "missing" or (self.state == "failed" and (self.blocking or non_blocking))


def load_definitions(module: str, folder: Path) -> dg.Definitions:
    """The definitions of a module, as `dagster dev -m` finds them.

    Args:
        module: Name of the module.
        folder: Where it is imported from.

    Raises:
        LumeError: There is no such module, or it does not hold one `Definitions`.
    """
    with _importable(folder):
        try:
            loaded = import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise
            raise LumeError(
                f"there is no module {module!r} in {folder}; name another with --module-name"
            ) from None
        found = [
            value for value in vars(loaded).values() if isinstance(value, dg.Definitions | LazyDefinitions)
        ]
        if len(found) != 1:
            raise LumeError(
                f"module {module!r} holds {len(found)} Definitions at its top level; it has to hold one"
            )
        (one,) = found
        return one if isinstance(one, dg.Definitions) else one()


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder.absolute()))
    try:
        yield
    finally:
        sys.path.remove(str(folder.absolute()))


def check_outcomes(
    instance: dg.DagsterInstance,
    definitions: dg.Definitions,
    partitions: Sequence[str],
    flow_versions: Sequence[str] = (),
) -> list[CheckOutcome]:
    """The latest result of every check on the assets of flow versions.

    A result that is older than the batch's latest materialization counts as missing.

    Args:
        instance: Where the results are stored.
        definitions: Where the checks are defined.
        partitions: The batches.
        flow_versions: Only of these; of all if there are none.

    Raises:
        LumeError: There are no such checks.
    """
    graph = definitions.resolve_asset_graph()
    stated = {
        spec.key: str(spec.metadata[FLOW_VERSION])
        for spec in definitions.resolve_all_asset_specs()
        if FLOW_VERSION in spec.metadata
    }
    known = sorted(set(stated.values()))
    if unknown := [one for one in flow_versions if one not in known]:
        raise LumeError(
            f"no assets of {', '.join(unknown)} are defined; there are those of {', '.join(known) or 'none'}"
        )
    keys = sorted(
        (key for key in graph.asset_check_keys if stated.get(key.asset_key) in (flow_versions or known)),
        key=lambda key: (stated[key.asset_key], key.asset_key.path, key.name),
    )
    if not keys:
        raise LumeError("the definitions hold no checks on the assets of a flow version")
    return [
        outcome
        for partition in partitions
        for outcome in _outcomes_of(instance, graph, keys, stated, partition)
    ]


def _outcomes_of(
    instance: dg.DagsterInstance,
    graph: dg.AssetGraph,
    keys: Sequence[dg.AssetCheckKey],
    stated: dict[dg.AssetKey, str],
    partition: str,
) -> Iterator[CheckOutcome]:
    from dagster._core.event_api import PartitionKeyFilter  # noqa: PLC0415 - no public name gives one partition's

    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(
        keys, partition_filter=PartitionKeyFilter(key=partition)
    )
    shown_since: dict[dg.AssetKey, float] = {}
    for key in keys:
        spec = graph.get_check_spec(key)
        asset = key.asset_key
        if asset not in shown_since:
            # A mapped output is judged by the run above it, so that a later run makes its checks old.
            shown_by = [asset, *(graph.get(asset).parent_keys & stated.keys())]
            records = (latest_materialization_record(instance, one, partition) for one in shown_by)
            shown_since[asset] = max((record.timestamp for record in records if record), default=0.0)
        state, message = _judged(latest.get(key), shown_since[asset])
        yield CheckOutcome(
            stated[asset],
            asset.to_user_string(),
            key.name,
            partition,
            # A Lume run that failed stops its batch by itself.
            spec.blocking or spec.name == STATUS_CHECK,
            state,
            message,
        )


def _judged(record: AssetCheckExecutionRecord | None, shown_since: float) -> tuple[CheckState, str]:
    entry = record.event if record is not None else None
    event = entry.dagster_event if entry is not None else None
    if entry is None or event is None or event.event_type is not dg.DagsterEventType.ASSET_CHECK_EVALUATION:
        return "missing", "was not evaluated"
    if entry.timestamp < shown_since:
        return "missing", "was not evaluated since the batch was last materialized"
    found = event.asset_check_evaluation_data
    message = found.description or ""
    if found.passed:
        return "passed", message
    return ("failed" if found.severity is dg.AssetCheckSeverity.ERROR else "warned"), message


def write_junit(outcomes: Iterable[CheckOutcome], path: Path, *, non_blocking: bool) -> None:
    """Writes check results as JUnit XML: one suite a batch, one case a check. The file appears whole or not at all.

    Args:
        outcomes: The results.
        path: The file; its folder is made if need be.
        non_blocking: Whether an error of a check that stops nothing is a failure.

    Raises:
        OSError: The file cannot be written.
    """
    suites = ET.Element("testsuites")
    suite_of: dict[tuple[str, str], ET.Element] = {}
    for outcome in outcomes:
        batch = (outcome.flow_version, outcome.partition)
        suite = suite_of.get(batch)
        if suite is None:
            name = _xml_text(" ".join(batch))
            suite = suite_of[batch] = ET.SubElement(suites, "testsuite", name=name)
        case = ET.SubElement(
            suite, "testcase", classname=_xml_text(outcome.asset), name=_xml_text(outcome.check)
        )
        message = _xml_text(outcome.message)
        if outcome.state == "missing":
            ET.SubElement(case, "error", message=message)
        elif outcome.is_error(non_blocking=non_blocking):
            ET.SubElement(case, "failure", message=message, type="ERROR")
        elif outcome.state in ("warned", "failed"):
            ET.SubElement(case, "system-out").text = f"{outcome.state}: {message}"
    for suite in suite_of.values():
        suite.set("tests", str(len(suite)))
        for kind in ("failure", "error"):
            suite.set(f"{kind}s", str(len(suite.findall(f"testcase/{kind}"))))
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial:
        ET.ElementTree(suites).write(partial, encoding="utf-8", xml_declaration=True)


def _xml_text(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
