"""The step that hands in the corrected rejects of a batch."""

# Dagster reads the annotations of the steps at run time, so that they are not postponed here.
from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg

from lume_dagster.attempts import untold
from lume_dagster.batch_events import Event, failure_of
from lume_dagster.batches import BatchFiles, FoundFile
from lume_dagster.client import LumeClient, LumeError, LumeRun
from lume_dagster.history import run_id_of
from lume_dagster.metadata import RUN_ID, correction_metadata, latest_materialization, run_metadata
from lume_dagster.resource import LumeResource
from lume_dagster.run_handler import LumeRunHandler

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
        name=f"{flow_version.replace('-', '_').replace(':', '__')}__corrections",
        specs=[spec],
        required_resource_keys={resource_key},
        retry_policy=retry_policy,
        pool=pool,
    )
    def hand_in(context: dg.AssetExecutionContext) -> Iterator[Event | dg.Output[None]]:
        lume: LumeResource = getattr(context.resources, resource_key)
        handler = LumeRunHandler(context, lume, flow_version=flow_version, source_path="", asset_key=spec.key)
        try:
            reviewed = lume.client.run_status(run_id_of(context.instance, run_key, context.partition_key))
            file = _Corrections(context, files, spec.key).new_file(lume.client, reviewed)
            records = file.records if file else {}
            corrected = handler.correct(reviewed, records) if records else reviewed
        except LumeError as error:
            raise failure_of(error, flow_version) from error
        url = lume.url_of(corrected)
        if corrected.failed and corrected.id != reviewed.id:
            raise _left_as_it_was(
                context,
                f"{corrected.label} of its corrections is {corrected.status}: {corrected.error_message}",
                corrected,
                url,
            )
        path = file.path if file else None
        told: Event = dg.MaterializeResult(
            asset_key=spec.key,
            metadata=correction_metadata(reviewed, corrected, len(records), path, url),
            data_version=dg.DataVersion(corrected.id),
            tags={RUN_ID: corrected.id} | ({_FILE_MARK: file.mark} if file else {}),
        )
        yield from untold(context, iter([told]))

    return hand_in


@dataclass(frozen=True)
class _NewFile:
    """A corrected file that was not handed in yet, or none but its mark if it was.

    Attributes:
        path: Where it lies.
        mark: Changes when the file does.
        records: What it says, by row number and source column.
    """

    path: str
    mark: str
    records: dict[int, dict[str, str | None]]


class _Corrections:
    """The corrected file of the batch of a step.

    Args:
        context: The step.
        files: Where the corrected files lie.
        key: The asset of the corrections.
    """

    def __init__(self, context: dg.AssetExecutionContext, files: BatchFiles, key: dg.AssetKey) -> None:
        self._context = context
        self._files = files
        self._key = key
        self._partition = context.partition_key
        self._path = files.path_of(self._partition)

    def new_file(self, client: LumeClient, reviewed: LumeRun) -> _NewFile | None:
        """The file, if there is one; without records, if it was handed in before.

        Args:
            client: The Lume.
            reviewed: The run whose rejects were corrected.

        Raises:
            dagster.Failure: The file is not of the form it has to be, or older than what it corrects.
            LumeError: The file cannot be read, or Lume cannot be asked.
        """
        found = self._files.look(self._partition)
        if found is None:
            self._context.log.info(f"there is no file {self._path}: nothing to hand in")
            return None
        if found.mark == self._mark_taken():
            self._context.log.info(
                f"{self._path} was handed in before, and is not again; put it there anew if its corrections were undone"
            )
            return _NewFile(self._path, found.mark, {})
        self._refuse_older(found, _uncorrected(client, reviewed))
        return _NewFile(self._path, found.mark, self._records(reviewed))

    def _mark_taken(self) -> str | None:
        taken = latest_materialization(self._context.instance, self._key, self._partition)
        return (taken.tags or {}).get(_FILE_MARK) if taken else None

    def _refuse_older(self, found: FoundFile, run: LumeRun) -> None:
        """Row numbers of another state of the batch would correct the wrong records."""
        if found.modified and run.finished_at and found.modified < run.finished_at:
            raise _left_as_it_was(
                self._context,
                f"{self._path} was written at {found.modified:%Y-%m-%d %H:%M:%S %Z}, before {run.label} mapped the "
                "batch anew, and its row numbers may be others; correct the rejects of that run, and put them there",
            )

    def _records(self, reviewed: LumeRun) -> dict[int, dict[str, str | None]]:
        from lume_dagster.review import read_corrections  # noqa: PLC0415 - pyarrow is heavy

        with self._files.open(self._partition) as text:
            try:
                return read_corrections(text, self._path, reviewed)
            except ValueError as error:
                raise _left_as_it_was(self._context, str(error)) from error


def _uncorrected(client: LumeClient, run: LumeRun) -> LumeRun:
    """The run that a chain of corrections began with: its row numbers are theirs."""
    while (corrects := run.corrects) is not None:
        run = client.run_status(corrects.run_id)
    return run


def _left_as_it_was(
    context: dg.AssetExecutionContext, reason: str, run: LumeRun | None = None, url: str | None = None
) -> dg.Failure:
    return dg.Failure(
        f"the batch {context.partition_key!r} stays as it was: {reason}",
        metadata=run_metadata(run, url) if run else None,
        allow_retries=run is not None and run.crashed,
    )
