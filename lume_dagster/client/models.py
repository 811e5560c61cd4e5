"""What Lume answers, as frozen records. Unknown members are ignored, missing ones are None or empty."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from lume_dagster.client.errors import RunFailedError
from lume_dagster.urls import without_credentials

_logger = logging.getLogger("lume_dagster.client")

T = TypeVar("T")

ResultKind = Literal["mapped", "rejects"]


class RunStatus(str, Enum):
    """The run statuses this version knows."""

    CREATED = "CREATED"
    PENDING = "PENDING"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SYNCING_SOURCE = "SYNCING_SOURCE"
    TRANSFORMING = "TRANSFORMING"
    SYNCING_TARGET = "SYNCING_TARGET"
    SUCCEEDED = "SUCCEEDED"
    PARTIAL_FAILED = "PARTIAL_FAILED"
    FAILED = "FAILED"
    CRASHED = "CRASHED"

    def __str__(self) -> str:
        return self.value

    @classmethod
    def parse(cls, text: str) -> RunStatus | None:
        """The status that ``text`` stands for, in any case; None if this version does not know it.

        ``INCOMPLETE`` is the older name of ``PARTIAL_FAILED``.

        Example:
            >>> RunStatus.parse("Succeeded")
            <RunStatus.SUCCEEDED: 'SUCCEEDED'>
        """
        name = text.strip().upper()
        return cls.__members__.get("PARTIAL_FAILED" if name == "INCOMPLETE" else name)

    @property
    def is_final(self) -> bool:
        """Whether a run in this status will never change again."""
        return self in _FINAL

    @property
    def is_active(self) -> bool:
        """Whether a run in this status goes on."""
        return self not in _FINAL


_FINAL = frozenset({RunStatus.SUCCEEDED, RunStatus.PARTIAL_FAILED, RunStatus.FAILED, RunStatus.CRASHED})


@lru_cache(maxsize=256)
def _warn_once(message: str) -> None:
    _logger.warning(message)


def _empty_if_none(value: object) -> object:
    return {} if value is None else value


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(timezone.utc) if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


_Members = Annotated[dict[str, Any], BeforeValidator(_empty_if_none)]


class Record(BaseModel):
    """Base of the records: frozen, and members it does not know are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class RecordError(Record):
    """One reason why a record was rejected.

    Attributes:
        field: Target field at fault; None if the whole record is.
        type: Kind of error: ``required``, ``type``, ``enum``, ``pattern``, ``duplicate`` and so on.
        message: The reason in words.
        value: The offending value as text, if there is one.
    """

    field: str | None = None
    type: str
    message: str = ""
    value: str | None = None


class RejectRecord(Record):
    """One source record that was not mapped, with all its reasons.

    Attributes:
        row_number: Where it stands in the source.
        source_record: The record as it came.
        errors: Why it was rejected.
    """

    row_number: int
    source_record: _Members = Field(default_factory=dict)
    errors: tuple[RecordError, ...] = ()


class RowCounts(Record):
    """How many rows a run read, mapped and rejected."""

    source: int = Field(ge=0)
    mapped: int = Field(ge=0)
    rejected: int = Field(ge=0)

    @property
    def reject_rate(self) -> float:
        """Share of the rows that were rejected, from 0 to 1."""
        return self.rejected / self.source if self.source else 0.0


@dataclass(frozen=True)
class ErrorCount:
    """How often one kind of error occurred.

    Attributes:
        field: Target field at fault; None if whole records are.
        type: Kind of error.
        count: Number of errors.
    """

    field: str | None
    type: str
    count: int


class ValidationSummary(Record):
    """What validation found in a batch.

    Attributes:
        by_type: Number of errors of each type.
        by_field: For each target field, the number of errors of each type.
        samples: Some of the rejects.
    """

    by_type: dict[str, int] = Field(default_factory=dict)
    by_field: dict[str, dict[str, int]] = Field(default_factory=dict)
    samples: tuple[RejectRecord, ...] = ()

    @property
    def counts(self) -> tuple[ErrorCount, ...]:
        """The errors by field and type, the most frequent first; those of whole records too."""
        found = [
            ErrorCount(field, kind, count)
            for field, kinds in self.by_field.items()
            for kind, count in kinds.items()
        ]
        in_fields = Counter[str]()
        for error in found:
            in_fields[error.type] += error.count
        found += [
            ErrorCount(None, kind, count - in_fields[kind])
            for kind, count in self.by_type.items()
            if count > in_fields[kind]
        ]
        return tuple(sorted(found, key=lambda error: (-error.count, error.field or "", error.type)))


class TargetLocations(Record):
    """URIs of a run's outputs, and the database table that holds the mapped records, where there is one."""

    mapped: str | None = None
    rejects: str | None = None
    table: str | None = None


class RunPerformance(Record):
    """What a run cost. Seconds a stage, rows a second, bytes."""

    stage_seconds: dict[str, float] = Field(default_factory=dict)
    rows_per_second: float | None = None
    bytes_read: int | None = None
    bytes_written: int | None = None
    peak_memory_bytes: int | None = None


class Corrections(Record):
    """Corrected records of a batch, and the run they belong to.

    Attributes:
        run_id: Of a correction, the run it corrects; of a forced rerun, the correction it takes the place of.
        records: How many records of the batch are corrected.
    """

    run_id: str
    records: int = Field(ge=0)


class SourceSummary(Record):
    """What a batch looked like against the mapper.

    Attributes:
        columns: Columns the batch has.
        missing: Columns the mapper reads and the batch lacks.
        unexpected: Columns the batch has and the mapper does not read.
        encoding: Encoding of a text source.
        format: Format of the source.
        file_name: Of a file that was handed over: what its owner has called it.
    """

    columns: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    encoding: str | None = None
    format: str | None = None
    file_name: str | None = None


# What a create carries along in `run_metadata`, so that its run is known again also by a Lume that does not heed
# the header.
KEY_MEMBER = "lume_dagster/idempotency_key"

_ROWS = TypeAdapter(RowCounts)
_VALIDATION = TypeAdapter(ValidationSummary)
_LOCATIONS = TypeAdapter(TargetLocations)
_PERFORMANCE = TypeAdapter(RunPerformance)
_SOURCE = TypeAdapter(SourceSummary)
_CORRECTIONS = TypeAdapter(Corrections)
_MOMENT: TypeAdapter[datetime] = TypeAdapter(Annotated[datetime, AfterValidator(_in_utc)])
_SECONDS = TypeAdapter(float)
_FLAG = TypeAdapter(bool)
_TEXT = TypeAdapter(str)
_MEMBERS: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


class LumeRun(Record):
    """One execution of a flow version on one batch, as Lume last told it.

    The runs that a client hands out are handles, which can ask again: :class:`~lume_dagster.client.RunHandle`.

    The properties read :attr:`metadata`. A property is None where this Lume does not tell the thing, or
    tells it in a shape unknown to this version (which is logged once).

    Attributes:
        id: Id of the run.
        flow_version: ``name:vN``.
        source_path: What names the batch.
        status: The status exactly as Lume spells it; decide by :attr:`is_final` and its like.
        metadata: Everything else Lume tells about the run.
    """

    id: str = Field(min_length=1)
    flow_version: str
    source_path: str
    status: str = Field(min_length=1)
    metadata: _Members = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _take_identifiers_from_metadata(cls, data: Any) -> Any:
        """Fill in the batch's identifiers where Lume tells them only in the metadata."""
        if not isinstance(data, dict) or not isinstance(data.get("metadata"), dict):
            return data
        metadata = data["metadata"]
        nested = metadata.get("run") if isinstance(metadata.get("run"), dict) else {}
        told = {
            name: value
            for name in ("flow_version", "source_path")
            if (value := nested.get(name, metadata.get(name))) is not None
        }
        return {**told, **data}

    @model_validator(mode="after")
    def _warn_of_unknown_status(self) -> LumeRun:
        if self.state is None:
            _warn_once(
                f"Lume reports the run status {self.status!r:.80}, which this version does not know; "
                "it is taken for an active one."
            )
        return self

    def __repr_args__(self) -> Iterator[tuple[str, str]]:
        for name in ("id", "flow_version", "source_path", "status"):
            yield name, without_credentials(getattr(self, name))

    @property
    def shown_source_path(self) -> str:
        """What names the batch, without credentials: for logs and messages."""
        return without_credentials(self.source_path)

    @property
    def label(self) -> str:
        """The run in a few words, for messages."""
        return f"Lume run {self.id} ({self.flow_version} on {self.shown_source_path!r})"

    @property
    def state(self) -> RunStatus | None:
        """The status to decide by; None if this version does not know it."""
        return RunStatus.parse(self.status)

    @property
    def is_final(self) -> bool:
        """Whether the run is over, well or badly."""
        return self.state is not None and self.state.is_final

    @property
    def is_active(self) -> bool:
        """Whether the run goes on. True for a status that this version does not know."""
        return not self.is_final

    @property
    def succeeded(self) -> bool:
        """Whether every record was mapped."""
        return self.state is RunStatus.SUCCEEDED

    @property
    def partial_failed(self) -> bool:
        """Whether some records were mapped and others rejected."""
        return self.state is RunStatus.PARTIAL_FAILED

    @property
    def failed(self) -> bool:
        """Whether the run ended without output: FAILED or CRASHED."""
        return self.state in (RunStatus.FAILED, RunStatus.CRASHED)

    @property
    def crashed(self) -> bool:
        """Whether the run ended in an internal error of Lume, so that another try may help."""
        return self.state is RunStatus.CRASHED

    def raise_for_status(self) -> LumeRun:
        """Return the run itself, unless it failed.

        Raises:
            RunFailedError: The run ended FAILED or CRASHED.
        """
        if self.failed:
            raise RunFailedError(self)
        return self

    @property
    def rows(self) -> RowCounts | None:
        """Row counts of the finished run."""
        return self._told(_ROWS, "rows")

    @property
    def validation(self) -> ValidationSummary | None:
        """What validation found."""
        return self._told(_VALIDATION, "validation")

    @property
    def target_locations(self) -> TargetLocations | None:
        """Where the outputs are."""
        return self._told(_LOCATIONS, "target_locations")

    @property
    def performance(self) -> RunPerformance | None:
        """What the run cost."""
        return self._told(_PERFORMANCE, "performance")

    @property
    def source(self) -> SourceSummary | None:
        """What the batch looked like."""
        return self._told(_SOURCE, "source")

    @property
    def error_message(self) -> str | None:
        """Why the run failed, if it did; without credentials."""
        message = self._told(_TEXT, "error_message")
        return message and without_credentials(message)

    @property
    def mapper_fingerprint(self) -> str | None:
        """Fingerprint of the mapper that the run used."""
        return self._told(_TEXT, "mapper", "fingerprint")

    @property
    def mapper_version(self) -> str | None:
        """Version of the mapper that the run used."""
        return self._told(_TEXT, "mapper", "version")

    @property
    def corrects(self) -> Corrections | None:
        """What the run corrects, if it is a correction of rejects."""
        return self._told(_CORRECTIONS, "corrects")

    @property
    def undoes(self) -> Corrections | None:
        """The corrections that a forced rerun does not hold, and takes the place of."""
        return self._told(_CORRECTIONS, "undoes")

    @property
    def run_metadata(self) -> dict[str, Any]:
        """What the caller attached to the run."""
        told = self._told(_MEMBERS, "run_metadata") or {}
        return {name: value for name, value in told.items() if name != KEY_MEMBER}

    @property
    def idempotency_key(self) -> str | None:
        """The key of the request that created the run, where it was this client that made the request."""
        key = (self._told(_MEMBERS, "run_metadata") or {}).get(KEY_MEMBER)
        return key if isinstance(key, str) else None

    @property
    def created_at(self) -> datetime | None:
        """When the run was created, in UTC."""
        return self._told(_MOMENT, "run", "created_at")

    @property
    def started_at(self) -> datetime | None:
        """When the run started, in UTC."""
        return self._told(_MOMENT, "run", "started_at")

    @property
    def finished_at(self) -> datetime | None:
        """When the run ended, in UTC."""
        return self._told(_MOMENT, "run", "finished_at")

    @property
    def duration_seconds(self) -> float | None:
        """How long the run took."""
        return self._told(_SECONDS, "run", "duration_seconds")

    @property
    def forced(self) -> bool | None:
        """Whether the run was forced although the batch had been processed before."""
        return self._told(_FLAG, "run", "forced")

    def _told(self, adapter: TypeAdapter[T], *path: str) -> T | None:
        value: object = self.metadata
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if value is None:
            return None
        try:
            return adapter.validate_python(value)
        except ValidationError:
            _warn_once(
                f"The metadata member {'.'.join(path)} of {self.label} has an unknown shape; it is ignored."
            )
            return None


class Page(Record, Generic[T]):
    """One page of a list.

    Attributes:
        items: The items of this page.
        total: Number of items on all pages.
        page: Number of this page; the first is 1.
        size: Most items a page holds.
        pages: Number of pages.
    """

    items: tuple[T, ...]
    total: int = Field(ge=0)
    page: int = Field(ge=1)
    size: int = Field(ge=1)
    pages: int = Field(ge=0)


class FlowInfo(Record):
    """A flow and the versions it has."""

    name: str
    versions: tuple[str, ...] = ()
    description: str | None = None


class FlowVersionInfo(Record):
    """One immutable version of a flow.

    Attributes:
        name: Name of the flow.
        version: ``vN``.
        flow_version: ``name:vN``.
        description: What the flow is for.
        fingerprint: Hash of all that determines the output.
        target_schema: JSON Schema of one mapped record.
        lineage: For each target field, the source columns it is made from.
        source: The source connector.
        mapper: The mapping, one entry a target field.
        target: The target connector.
        rules: The conditions across target fields.
    """

    name: str
    version: str
    flow_version: str
    description: str | None = None
    fingerprint: str | None = None
    target_schema: _Members = Field(default_factory=dict)
    lineage: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    source: _Members = Field(default_factory=dict)
    mapper: _Members = Field(default_factory=dict)
    target: _Members = Field(default_factory=dict)
    rules: tuple[_Members, ...] = ()


def json_type_of(schema: Mapping[str, Any]) -> str:
    """The JSON type of a property, `null` left aside; `string` where the schema names none."""
    stated = schema.get("type", "string")
    types = [stated] if isinstance(stated, str) else [name for name in stated if name != "null"]
    return types[0] if types else "string"


class Health(Record):
    """What Lume says of itself."""

    status: str
    version: str | None = None
