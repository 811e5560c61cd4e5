"""What a step tells Dagster of one batch: its materializations, its check results, and why it goes no further.

One batch a run, or many in one: both tell of a batch by these functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from lume_dagster.assets.metadata import (
    RUN_ID,
    failure_metadata,
    mapped_metadata,
    rejects_metadata,
    run_metadata,
)
from lume_dagster.checks.judging import status_verdict
from lume_dagster.checks.lume_checks import STATUS_CHECK
from lume_dagster.checks.verdict import Verdict
from lume_dagster.client import (
    FlowVersionInfo,
    LumeError,
    LumeRun,
    LumeUnavailableError,
    RunError,
    RunTimeoutError,
)
from lume_dagster.plain_text import plain
from lume_dagster.resource import LumeResource

Event = dg.MaterializeResult[Any] | dg.AssetCheckResult


@dataclass(frozen=True)
class BatchEvents:
    """Makes the events of the batches of a flow version.

    Attributes:
        lume: The Lume of the runs.
        flow: The flow version of the runs.
        run_key: The asset of the runs.
        rejects_key: The asset of the rejects.
        mapped_key: The asset of the mapped output.
        source_key: The asset that the columns of the mapped output come from.
    """

    lume: LumeResource
    flow: FlowVersionInfo
    run_key: dg.AssetKey
    rejects_key: dg.AssetKey
    mapped_key: dg.AssetKey
    source_key: dg.AssetKey

    def written(self, run: LumeRun) -> Iterator[Event]:
        """The events of an ended run.

        Raises:
            dagster.Failure: It has neither mapped records nor rejects to hand on.
        """
        verdict = status_verdict(run)
        url = self.lume.url_of(run)
        # A run that failed because it mapped nothing has rejects, and those go to review like any others: only
        # the audit stops. Without rejects there is nothing to hand on.
        has_rejects = run.target_locations is not None and run.target_locations.rejects is not None
        if verdict.passed or has_rejects:
            yield dg.MaterializeResult(
                asset_key=self.run_key,
                metadata=run_metadata(run, url),
                data_version=dg.DataVersion(run.id),
                tags={RUN_ID: run.id},
            )
            yield dg.MaterializeResult(
                asset_key=self.rejects_key,
                metadata=rejects_metadata(run, self.flow, url),
                data_version=_data_version(run, "rejects"),
                tags={RUN_ID: run.id},
            )
        yield _check_result(verdict, STATUS_CHECK, self.run_key)
        if not verdict.passed and not has_rejects:
            raise dg.Failure(
                verdict.summary, metadata=failure_metadata(run, self.flow, url), allow_retries=run.crashed
            )

    def audited(
        self,
        run: LumeRun,
        verdicts: Mapping[str, Verdict],
        *,
        publishes: bool,
        shown: frozenset[str],
        admitted: str | None,
    ) -> Iterator[Event]:
        """The events of an audit: the mapped output, unless a verdict stops it, and the check results.

        Args:
            run: The run.
            verdicts: What each check found.
            publishes: Whether the mapped output is to be materialized, and not only checked.
            shown: The names of the checks whose results are asked for.
            admitted: Why the batch is admitted by hand, if it is.

        Raises:
            dagster.Failure: The batch is stopped.
        """
        results = [
            _check_result(verdict, name, self.mapped_key, admitted)
            for name, verdict in verdicts.items()
            if name in shown
        ]
        stopped = {name: verdict for name, verdict in verdicts.items() if verdict.stops}
        if publishes and stopped and admitted is None:
            yield from results
            raise self._stopped(run, stopped)
        if publishes:
            yield dg.MaterializeResult(
                asset_key=self.mapped_key,
                metadata=mapped_metadata(run, self.flow, self.source_key, self.lume.url_of(run))
                | _admission(admitted, stopped),
                data_version=_data_version(run, "mapped"),
                tags={RUN_ID: run.id},
            )
        yield from results

    def refuse_unmapped(self, run: LumeRun) -> None:
        """Ends the audit of a run that mapped nothing.

        Raises:
            dagster.Failure: It did not.
        """
        if not (status := status_verdict(run)).passed:
            raise dg.Failure(
                f"nothing to publish: {status.summary}",
                metadata=failure_metadata(run, self.flow, self.lume.url_of(run)),
                allow_retries=False,
            )

    def _stopped(self, run: LumeRun, stopped: Mapping[str, Verdict]) -> dg.Failure:
        reasons = "; ".join(f"{name}: {verdict.summary}" for name, verdict in stopped.items())
        return dg.Failure(
            f"the audit stopped the batch {run.shown_source_path!r} of {run.id}: {reasons}. Its mapped output is not "
            "published; an earlier one stays. Correct the batch and force a rerun, or materialize this asset again "
            "with admit: true and a reason.",
            metadata=failure_metadata(run, self.flow, self.lume.url_of(run)),
            allow_retries=False,
        )


def failure_of(error: LumeError, flow_version: str) -> dg.Failure:
    """What ends a step that Lume could not serve; tried again where that may help."""
    may_pass = isinstance(error, LumeUnavailableError | RunTimeoutError)
    return dg.Failure(
        f"{flow_version}: {error}",
        metadata=run_metadata(error.run) if isinstance(error, RunError) else None,
        allow_retries=may_pass,
    )


def _check_result(
    verdict: Verdict, name: str, asset_key: dg.AssetKey, admitted: str | None = None
) -> dg.AssetCheckResult:
    overruled = verdict.stops and admitted is not None
    return dg.AssetCheckResult(
        passed=verdict.passed or overruled,
        check_name=name,
        asset_key=asset_key,
        severity=dg.AssetCheckSeverity.ERROR if verdict.level == "error" else dg.AssetCheckSeverity.WARN,
        description=plain(
            f"Admitted by hand ({admitted}), although: {verdict.summary}" if overruled else verdict.summary
        ),
        metadata={**verdict.figures} | ({"lume/admitted": admitted} if overruled else {}),
    )


def _admission(admitted: str | None, stopped: Mapping[str, Verdict]) -> dict[str, Any]:
    if admitted is None or not stopped:
        return {}
    return {"lume/admitted": admitted, "lume/overruled_checks": list(stopped)}


def _data_version(run: LumeRun, kind: str) -> dg.DataVersion:
    checksum = run.metadata.get("checksums", {}).get(kind)
    return dg.DataVersion(checksum or run.id)
