"""The step that hands in the corrected rejects of a batch."""

# Dagster reads the annotations of the steps at run time, so that they are not postponed here.
from collections.abc import Iterator

import dagster as dg

from lume_dagster.attempts import untold
from lume_dagster.batch_events import Event, failure_of
from lume_dagster.batches import BatchFiles
from lume_dagster.client import LumeError, LumeRun
from lume_dagster.history import run_id_of
from lume_dagster.metadata import RUN_ID, correction_metadata, run_metadata
from lume_dagster.resource import LumeResource
from lume_dagster.run_handler import LumeRunHandler


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
        partition = context.partition_key
        handler = LumeRunHandler(
            context, lume, flow_version=flow_version, source_path="", asset_key=spec.key, partition=partition
        )
        try:
            reviewed = lume.client.run_status(run_id_of(context.instance, run_key, partition))
            corrected, records = _handed_in(context, handler, files, reviewed)
        except LumeError as error:
            raise failure_of(error, flow_version) from error
        url = lume.url_of(corrected)
        if corrected.failed:
            raise dg.Failure(
                f"the batch {partition!r} stays as it was: {corrected.label} of its corrections is "
                f"{corrected.status}: {corrected.error_message}",
                metadata=run_metadata(corrected, url),
                allow_retries=corrected.crashed,
            )
        told: Event = dg.MaterializeResult(
            asset_key=spec.key,
            metadata=correction_metadata(
                reviewed, corrected, records, files.path_of(partition) if records else None, url
            ),
            data_version=dg.DataVersion(corrected.id),
            tags={RUN_ID: corrected.id},
        )
        yield from untold(context, iter([told]))

    return hand_in


def _handed_in(
    context: dg.AssetExecutionContext, handler: LumeRunHandler, files: BatchFiles, reviewed: LumeRun
) -> tuple[LumeRun, int]:
    """The run that holds what the file of the batch says, and how many records stand in the file.

    Raises:
        dagster.Failure: The file is not of the form it has to be.
        LumeError: The file cannot be read, or Lume refuses the corrections or cannot be reached.
    """
    from lume_dagster.review import read_corrections  # noqa: PLC0415 - pyarrow is heavy

    partition, path = context.partition_key, files.path_of(context.partition_key)
    if not files.exists(partition):
        context.log.info(f"there is no file {path}: nothing to hand in")
        return reviewed, 0
    with files.open(partition) as text:
        try:
            records = read_corrections(text, path, reviewed)
        except ValueError as error:
            raise dg.Failure(
                f"the batch {partition!r} stays as it was: {error}", allow_retries=False
            ) from error
    corrected = handler.correct(reviewed, records)
    if corrected.id == reviewed.id:
        context.log.info(f"{path} changes nothing: {reviewed.label} holds the batch as it says")
    return corrected, len(records)
