"""The documents that a Lume takes and gives, version 1 of its HTTP interface. Times are UTC, ISO 8601."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from lume_dagster.urls import refuse_credentials

Item = TypeVar("Item")


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _without_credentials(source_path: str) -> str:
    refuse_credentials(source_path)
    return source_path


_SourcePath = Annotated[str, Field(min_length=1), AfterValidator(_without_credentials)]


class CreateRun(_Document):
    """A request for a run of a flow version on a batch."""

    flow_version: str = Field(description="The flow version, NAME:vN.", examples=["flights:v1"])
    source_path: _SourcePath = Field(
        description="Names the batch: a file that the flow's source can read, `upload:...`, a file that was handed "
        "over, or `run:RUN_ID`, the stored input of an earlier run.",
    )
    force_rerun: bool = Field(default=False, description="Runs a batch again that was mapped before.")
    run_metadata: dict[str, Any] = Field(default_factory=dict, description="Kept with the run as it is.")


class _OnOneBatch(_Document):
    """A request that brings records along, or names a batch."""

    source_data: list[dict[str, Any]] | None = Field(
        default=None, description="The records. The same records are the same batch."
    )
    source_path: _SourcePath | None = Field(
        default=None, description="Names the batch instead, as it does at `/v1/runs`."
    )
    run_metadata: dict[str, Any] = Field(default_factory=dict, description="Kept with the run as it is.")

    @model_validator(mode="after")
    def _one_batch(self) -> _OnOneBatch:
        if (self.source_data is None) == (self.source_path is None):
            raise ValueError("give source_data or source_path, and not both")
        return self


class CreateFlowRun(_OnOneBatch):
    """A request for a run of a flow, on records that come along or on a batch that is named."""

    version: str | None = Field(
        default=None, description="The version, `vN`; the newest if not given.", examples=["v1"]
    )
    force_rerun: bool = Field(default=False, description="Runs a batch again that was mapped before.")


class CreateFlow(_OnOneBatch):
    """A request for a flow: its mapper is made from a sample, which becomes its first run."""

    name: str = Field(description="The flow's name; its version is v1.", examples=["flights"])
    target_schema: dict[str, Any] = Field(description="JSON Schema of one target record.")
    description: str = Field(default="", description="What the flow is for.")
    source: dict[str, Any] = Field(
        default_factory=dict,
        description="How a batch is written, as in a flow file, where its extension does not tell.",
    )
    source_data: list[dict[str, Any]] | None = Field(
        default=None, min_length=1, description="The sample's records."
    )

    @model_validator(mode="after")
    def _described_batch(self) -> CreateFlow:
        if self.source_data is not None and self.source:
            raise ValueError("source says how a named batch is written; leave it out beside source_data")
        return self


class RecordCorrection(_Document):
    """A record of a batch that somebody has corrected."""

    row_number: int = Field(
        ge=1, le=1 << 53, description="The record's place in the batch, as the reject tells it."
    )
    values: dict[str, str | None] = Field(
        description="The texts of source columns; null where there is none. Columns that are not named stay as they "
        "are; of a line that could not be parsed, they are what makes the record."
    )


class CorrectRun(_Document):
    """A request to map a batch again with some of its rejects corrected."""

    records: list[RecordCorrection] = Field(min_length=1)
    run_metadata: dict[str, Any] = Field(default_factory=dict, description="Kept with the run as it is.")


class Upload(_Document):
    """A file that was handed over, and the source path that names it from now on."""

    source_path: str
    bytes: int
    sha256: str


class RunInfo(_Document):
    """What a run is, and when."""

    run_id: str
    flow_version: str
    source_path: str
    status: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    duration_seconds: float | None
    forced: bool


class MapperInfo(_Document):
    """The mapper that the run used: its version and the fingerprint of its content."""

    version: str
    fingerprint: str


class RowCounts(_Document):
    """Records of the batch; `source` is the sum of the others."""

    source: int
    mapped: int
    rejected: int


class Validation(_Document):
    """Why records were rejected: numbers of errors by type and by field, and the first rejects."""

    by_type: dict[str, int]
    by_field: dict[str, dict[str, int]]
    samples: list[dict[str, Any]]


class SourceInfo(_Document):
    """The batch as it was found, against what the mapper reads."""

    file_name: str | None = Field(
        default=None, description="Of a file that was handed over: what its owner has called it."
    )
    format: str
    encoding: str | None
    columns: list[str]
    missing: list[str]
    unexpected: list[str]


class Performance(_Document):
    """Seconds a stage, throughput, bytes, and the peak memory of the process until then."""

    stage_seconds: dict[str, float]
    rows_per_second: float | None
    bytes_read: int
    bytes_written: int
    peak_memory_bytes: int


class TargetLocations(_Document):
    """Where the output lies; no mapped output where no record could be mapped."""

    mapped: str | None
    rejects: str
    table: str | None = None


class CorrectionInfo(_Document):
    """Corrections of a batch, and the run they belong to."""

    run_id: str
    records: int


class RunMetadata(_Document):
    """All that is kept of a run. What only its end can tell is null before."""

    run: RunInfo
    mapper: MapperInfo
    rows: RowCounts | None
    validation: Validation | None
    source: SourceInfo | None
    performance: Performance | None
    target_locations: TargetLocations | None
    checksums: dict[str, str] | None = Field(description="SHA-256 of the mapped output and of the rejects.")
    error_message: str | None
    corrects: CorrectionInfo | None = Field(
        default=None,
        description="Of a correction: the run it corrects, and how many records of the batch are corrected by now.",
    )
    undoes: CorrectionInfo | None = Field(
        default=None,
        description="Of a forced rerun: the correction it takes the place of, whose records it does not hold.",
    )
    run_metadata: dict[str, Any]


class Run(_Document):
    """One execution of one flow version on one batch."""

    id: str
    flow_version: str
    source_path: str
    status: str
    metadata: RunMetadata


class Flow(_Document):
    """A flow and its versions, oldest first."""

    name: str
    versions: list[str]


class FlowList(_Document):
    """All flows."""

    items: list[Flow]


class FlowVersionInfo(_Document):
    """A flow version: its target schema, its mapper, and which source columns each field comes from."""

    name: str
    version: str
    flow_version: str
    description: str
    fingerprint: str
    target_schema: dict[str, Any]
    lineage: dict[str, list[str]]
    source: dict[str, Any]
    mapper: dict[str, Any]
    target: dict[str, Any]
    rules: list[dict[str, Any]]


class Page(_Document, Generic[Item]):
    """A page of a list: `page` counts from 1, `pages` is the number of pages of this size."""

    items: list[Item]
    total: int
    page: int
    size: int
    pages: int


class Health(_Document):
    """Says that this Lume is up, and which one it is."""

    status: str
    service: str
    version: str


class Problem(BaseModel):
    """A problem, RFC 9457. Some types carry further members, such as `run_id`."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
