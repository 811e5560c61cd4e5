"""The step that hands in the corrected rejects of a batch."""

# Dagster reads the annotations of the steps at run time, so that they are not postponed here.
import time
from collections.abc import Iterator, Mapping

import dagster as dg

from lume_dagster.assets.attempts import untold
from lume_dagster.assets.batch_events import Event, failure_of
from lume_dagster.assets.history import run_id_of
from lume_dagster.assets.metadata import RUN_ID, correction_metadata, latest_materialization, run_metadata
from lume_dagster.assets.run_handler import LumeRunHandler
from lume_dagster.assets.translator import corrections_step_name
from lume_dagster.client import LumeError, LumeRun
from lume_dagster.client.current_run import standing_run
from lume_dagster.config import ADOPT_RUN_TAG
from lume_dagster.resource import LumeResource
from lume_dagster.sensors.batches import BatchFiles, FoundFile

_FILE_MARK = "lume/file_mark"


def correction_step(
    spec: dg.AssetSpec,
    *,
    run_key: dg.AssetKey,
    files: BatchFiles,
    flow_version: str,
    resource_key: str,
    retry_policy: dg.RetryPolicy | None,
    pool: str | None,
) -> dg.AssetsDefinition:
    """The step that hands in the corrected rejects of a batch, and waits for the run that holds them.

    Args:
        spec: The asset of the corrections.
        run_key: The asset of the runs.
        files: Where the corrected files lie.
        flow_version: The flow version of the runs.
        resource_key: Key of the `LumeResource`.
        retry_policy: How often a crashed run, or a Lume out of reach, is tried again.
        pool: The pool that the step takes part in.
    """

    @dg.multi_asset(
        name=corrections_step_name(flow_version),
        specs=[spec],
        required_resource_keys={resource_key},
        retry_policy=retry_policy,
        pool=pool,
    )
    def hand_in(context: dg.AssetExecutionContext) -> Iterator[Event | dg.Output[None]]:
        lume: LumeResource = getattr(context.resources, resource_key)
        try:
            reviewed = lume.client.run_status(run_id_of(context.instance, run_key, context.partition_key))
            told = _Corrections(context, lume, files, spec.key, reviewed).hand_in()
        except LumeError as error:
            raise failure_of(error, flow_version) from error
        yield from untold(context, iter([told]))

    return hand_in


class _Corrections:
    """The corrected rejects of a batch.

    Args:
        context: The step.
        lume: The Lume.
        files: Where the corrected files lie.
        key: The asset of the corrections.
        reviewed: The run that the batch's assets stand for, whose rejects were corrected.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        lume: LumeResource,
        files: BatchFiles,
        key: dg.AssetKey,
        reviewed: LumeRun,
    ) -> None:
        self._context = context
        self._lume = lume
        self._files = files
        self._key = key
        self._reviewed = reviewed
        self._partition = context.partition_key
        self._path = files.path_of(self._partition)

    def hand_in(self) -> Event:
        """Hands in the file, unless there is none, or it was before; returns what there is to tell.

        In a Dagster run by which the batch follows a correction, the file is left alone: it may be another by now,
        and what was handed in is told again.

        Raises:
            dagster.Failure: The file cannot be taken, or the run of the corrections has failed.
            LumeError: The file cannot be read, or Lume refuses the corrections or cannot be reached.
        """
        taken = latest_materialization(self._context.instance, self._key, self._partition)
        tags = (taken.tags or {}) if taken else {}
        mark = tags.get(_FILE_MARK)
        if ADOPT_RUN_TAG not in self._context.run.tags:
            file = self._settled()
            if file is None:
                self._context.log.info(f"there is no file {self._path}: nothing to hand in")
                return self._told(self._reviewed, 0, None)
            if mark != file.mark:
                return self._hand_in(file)
            self._context.log.info(f"{self._path} was handed in before, and is not again")
        if taken is None or mark is None:
            return self._told(self._reviewed, 0, None)
        run_id = tags[RUN_ID]
        # What was told of it still holds, also where the batch's assets do not stand for it yet.
        if run_id == self._reviewed.id or run_id == standing_run(self._lume.client, self._reviewed).id:
            return dg.MaterializeResult(
                asset_key=self._key,
                metadata=taken.metadata,
                data_version=dg.DataVersion(run_id),
                tags={RUN_ID: run_id, _FILE_MARK: mark},
            )
        self._context.log.warning(
            f"its corrections are not in {self._reviewed.label}; put the file there anew to have them back"
        )
        return self._told(self._reviewed, 0, mark)

    def _settled(self) -> FoundFile | None:
        """The file, once it has stayed as it is for long enough to be whole; None if there is none."""
        file = self._files.look(self._partition)
        while file is not None and (seconds := self._unsettled_seconds(file)) > 0:
            self._context.log.info(
                f"{self._path} may still be written; looking again in {seconds:.1f} seconds"
            )
            time.sleep(seconds)
            before, file = file, self._files.look(self._partition)
            if file == before:
                break
        return file

    def _unsettled_seconds(self, file: FoundFile) -> float:
        """How long a file is still to be watched; the clock of its file system may be another than ours."""
        age = time.time() - file.modified.timestamp() if file.modified else 0.0
        return min(self._files.settle_seconds - age, self._files.settle_seconds)

    def _hand_in(self, file: FoundFile) -> Event:
        records = self._records(file)
        handler = LumeRunHandler(
            self._context,
            self._lume,
            flow_version=self._reviewed.flow_version,
            source_path=self._reviewed.source_path,
            asset_key=self._key,
        )
        corrected = handler.correct(self._reviewed, records)
        if corrected.failed and corrected.id != self._reviewed.id:
            raise self._refusal(
                f"{corrected.label} of its corrections is {corrected.status}: {corrected.error_message}",
                corrected,
            )
        return self._told(corrected, len(records), file.mark)

    def _records(self, file: FoundFile) -> Mapping[int, Mapping[str, str | None]]:
        from lume_dagster.corrections.corrected_rejects import read_corrections  # noqa: PLC0415 - pyarrow is heavy

        with self._files.open(self._partition) as text:
            try:
                return read_corrections(text, self._path, self._reviewed, self._lume.client, file.modified)
            except ValueError as error:
                raise self._refusal(str(error)) from error

    def _told(self, corrected: LumeRun, records: int, mark: str | None) -> Event:
        url = self._lume.url_of(corrected)
        path = self._path if mark else None
        return dg.MaterializeResult(
            asset_key=self._key,
            metadata=correction_metadata(self._reviewed, corrected, records, path, url),
            data_version=dg.DataVersion(corrected.id),
            tags={RUN_ID: corrected.id} | ({_FILE_MARK: mark} if mark else {}),
        )

    def _refusal(self, reason: str, run: LumeRun | None = None) -> dg.Failure:
        return dg.Failure(
            f"the batch {self._partition!r} stays as it was: {reason}",
            metadata=run_metadata(run, self._lume.url_of(run)) if run else None,
            allow_retries=run is not None and run.crashed,
        )
