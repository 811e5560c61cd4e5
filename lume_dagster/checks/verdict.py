"""What a check is, what it judges, and what it finds."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg

from lume_dagster.client import FlowVersionInfo, LumeRun

if TYPE_CHECKING:
    import pyarrow as pa

    from lume_dagster.client import LumeClient
    from lume_dagster.client.frames import OutputFile
    from lume_dagster.client.models import ResultKind

Level = Literal["error", "warn", "off"]

_logger = logging.getLogger("lume_dagster")


@dataclass(frozen=True)
class Batch:
    """What the checks judge: an ended run that mapped its batch, and what is known around it.

    Attributes:
        run: The run.
        client: The Lume of the run.
        flow: The flow version of the run.
        earlier_rows: Reads the source rows of earlier batches, the latest first.
    """

    run: LumeRun
    client: LumeClient
    flow: FlowVersionInfo
    earlier_rows: Callable[[], Sequence[int]] = tuple

    def file(self, kind: ResultKind) -> OutputFile | None:
        """The Parquet file of an output; None where this process cannot reach it."""
        if self.run.target_locations is None:
            return None
        from lume_dagster.client.frames import output_file  # noqa: PLC0415 - pyarrow is slow to import

        return output_file(self.run, kind)

    def mapped(self) -> pa.Table:
        """The records that the run mapped.

        Raises:
            LumeError: They cannot be read.
        """
        return self.client.results_frame(self.run, "mapped", "arrow")

    def rejects(self) -> pa.Table:
        """The records that the run rejected, with their reasons.

        Raises:
            LumeError: They cannot be read.
        """
        return self.client.results_frame(self.run, "rejects", "arrow")


@dataclass(frozen=True)
class Verdict:
    """What a check found: passed or not, in one sentence, the figures it judged by, and at which level.

    Attributes:
        passed: Whether the batch is as it has to be.
        summary: One sentence that says why.
        figures: Becomes the metadata of the check. Dagster plots numbers over the batches.
        level: What follows if it has not passed: `error` stops the batch, `warn` only shows.
    """

    passed: bool
    summary: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    level: Level = "error"

    @property
    def stops(self) -> bool:
        """Whether the batch goes no further."""
        return not self.passed and self.level == "error"


@dataclass(frozen=True)
class LumeCheck:
    """A check by its name: what it asks, whether it can stop a batch, and how it judges."""

    name: str
    description: str
    can_stop: bool
    judge: Callable[[Batch], Verdict]

    def spec(
        self, asset_key: dg.AssetKey, partitions_def: dg.PartitionsDefinition | None
    ) -> dg.AssetCheckSpec:
        """The check as Dagster knows it."""
        with warnings.catch_warnings():
            # Partitions of checks are a preview feature; without them a pass would speak for every batch.
            warnings.simplefilter("ignore", dg.PreviewWarning)
            return dg.AssetCheckSpec(
                self.name,
                asset=asset_key,
                description=self.description,
                blocking=self.can_stop,
                partitions_def=partitions_def,
            )


def lume_check(
    level: Literal["error", "warn"] = "error", *, name: str | None = None
) -> Callable[[Callable[[Batch], Verdict | bool]], LumeCheck]:
    """Makes a check of a function of the batch, for `LumeChecks(custom=[...])`.

    The function answers with a `Verdict`, or with True or False. Its docstring is the check's description. If it
    raises, the check has not passed: what could not be judged is not published.

    Args:
        level: Whether a batch that does not pass is stopped (`error`) or only marked (`warn`).
        name: Name of the check; that of the function if not given.

    Example:
        ```python
        @lume_check("warn")
        def carriers(batch: Batch) -> Verdict:
            \"\"\"At least ten carriers fly on every day.\"\"\"
            found = len(batch.mapped().column("carrier").unique())
            return Verdict(found >= 10, f"{found} carriers", {"carriers": found})
        ```
    """

    def made(judge: Callable[[Batch], Verdict | bool]) -> LumeCheck:
        check_name = name or judge.__name__

        def judged(batch: Batch) -> Verdict:
            try:
                found = judge(batch)
            except Exception as error:
                _logger.exception(f"the check {check_name} raised on {batch.run.label}")
                found = Verdict(False, f"the check raised {type(error).__name__}: {error}")
            if not isinstance(found, Verdict):
                found = Verdict(bool(found), "passed" if found else "not passed")
            return replace(found, level=level)

        return LumeCheck(check_name, inspect.getdoc(judge) or "", level == "error", judged)

    return made
