"""The store of runs: SQLite in WAL mode in the home, or any database that SQLAlchemy speaks to.

Every change of a run is one transaction, guarded by the status (and, for a process at work, the owner) it
starts from, so that any number of processes may share one store.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError
from ulid import ULID

from lume_dagster.service.errors import (
    AlreadySucceededError,
    FlowChangedError,
    IdempotencyKeyReusedError,
    NotFoundError,
    SupersededError,
    UnavailableError,
    UnusableHomeError,
)
from lume_dagster.service.status import ACTIVE, RunStatus, predecessors

_SQLITE_BUSY_SECONDS = 30
_CREATE_ATTEMPTS = 5
# Unlike a lock or a full disk, these do not go by.
_LASTING_SQLITE_FAULTS = ("readonly", "malformed", "not a database", "unable to open")

_schema = sa.MetaData()

# `active_batch` names the batch while its run is active and is NULL afterwards: its uniqueness is what
# keeps two active runs of one batch apart, in every database alike.
_runs = sa.Table(
    "runs",
    _schema,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("flow_version", sa.String(255), nullable=False),
    sa.Column("source_path", sa.Text, nullable=False),
    sa.Column("active_batch", sa.String(64), unique=True),
    sa.Column("status", sa.String(32), nullable=False),
    sa.Column("forced", sa.Boolean, nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("heartbeat", sa.Integer, nullable=False, default=0),
    sa.Column("cancel_requested", sa.Boolean, nullable=False, default=False),
    sa.Column("created_at", sa.String(32), nullable=False),
    sa.Column("started_at", sa.String(32)),
    sa.Column("finished_at", sa.String(32)),
    sa.Column("error_message", sa.Text),
    sa.Column("outcome", sa.JSON),
    sa.Column("run_metadata", sa.JSON, nullable=False),
    sa.Index("ix_runs_batch", "flow_version", "source_path", "seq"),
    sa.Index("ix_runs_status", "status", "seq"),
)

_idempotency_keys = sa.Table(
    "idempotency_keys",
    _schema,
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("request_hash", sa.String(64), nullable=False),
    sa.Column("run_id", sa.String(64), nullable=False),
)

_flow_versions = sa.Table(
    "flow_versions",
    _schema,
    sa.Column("flow_version", sa.String(255), primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("first_used_at", sa.String(32), nullable=False),
)

# A row for each run that corrects another one, and for each forced rerun that takes the place of a correction.
_corrections = sa.Table(
    "corrections",
    _schema,
    sa.Column("run_id", sa.String(64), primary_key=True),
    sa.Column("corrects", sa.String(64)),
    sa.Column("undoes", sa.String(64)),
    sa.Column("corrected", sa.String(128)),
    sa.Column("records", sa.Integer, nullable=False),
)


def utc_now() -> str:
    """The present time in UTC, ISO 8601 with microseconds."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class RunRecord:
    """A run, as the store keeps it. Times are UTC, ISO 8601."""

    id: str
    flow_version: str
    source_path: str
    status: RunStatus
    forced: bool
    fingerprint: str
    owner: str
    heartbeat: int
    cancel_requested: bool
    created_at: str
    started_at: str | None
    finished_at: str | None
    error_message: str | None
    outcome: Mapping[str, Any] | None
    run_metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Correction:
    """What a run has to do with corrections of its batch.

    Attributes:
        corrects: The run that it corrects.
        undoes: The correction that a forced rerun takes the place of.
        corrected: Names all records of the batch that are corrected in it, those of earlier corrections too.
        records: How many these are; of a forced rerun, how many it does not hold.
    """

    corrects: str | None
    undoes: str | None
    corrected: str | None
    records: int


@dataclass(frozen=True)
class NewRun:
    """What a run is created from."""

    flow_version: str
    source_path: str
    force_rerun: bool
    run_metadata: Mapping[str, Any]
    correction: Correction | None = None

    def request_hash(self) -> str:
        """A digest of the request, by which a reused Idempotency-Key is told from a repeated one."""
        body = [self.flow_version, self.source_path, self.force_rerun, dict(self.run_metadata)]
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


class RunStore:
    """Runs, idempotency keys and the fingerprints of used flow versions.

    Args:
        url: SQLAlchemy URL of the database; its tables are made where they are missing.

    Raises:
        UnavailableError: The database cannot be opened.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = sa.make_url(url)
            self._where = parsed.render_as_string(hide_password=True)
            self._is_sqlite = parsed.get_backend_name() == "sqlite"
            arguments = {"timeout": _SQLITE_BUSY_SECONDS} if self._is_sqlite else {}
            self._engine = sa.create_engine(parsed, connect_args=arguments)
        except (ArgumentError, ImportError) as error:
            # The message of the error may hold the password.
            raise UnavailableError(
                f"the store's URL (LUME_STORE_URL) cannot be used ({type(error).__name__}); write it as SQLAlchemy "
                "does, such as postgresql+psycopg://USER:PASSWORD@HOST/NAME, and install its driver"
            ) from None
        if self._is_sqlite and parsed.database:
            _make_folder(Path(parsed.database).parent)
        if self._is_sqlite:
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
            sa.event.listen(self._engine, "begin", _begin_sqlite)
        with self._write() as connection:
            _schema.create_all(connection, checkfirst=True)

    def create(
        self, new: NewRun, *, fingerprint: str, owner: str, idempotency_key: str | None = None
    ) -> tuple[RunRecord, bool]:
        """Creates a run of a batch, or finds the one that answers this request already.

        Returns:
            The run, and whether it was created by this call. A run that was not is the active run of the
            batch, or the one that the same Idempotency-Key made.

        Raises:
            AlreadySucceededError: The latest run of the batch mapped it, and `new` does not force a rerun.
            FlowChangedError: The flow version was first used with another fingerprint.
            IdempotencyKeyReusedError: The key belongs to another request.
            UnavailableError: The database cannot be used.
        """
        for _ in range(_CREATE_ATTEMPTS):
            try:
                with self._write() as connection:
                    return _create(connection, new, fingerprint, owner, idempotency_key)
            except IntegrityError:
                # Two creates met where the database lets transactions run side by side: the loser looks again.
                continue
        raise UnavailableError(f"the store {self._where} is too busy to create a run; try again")

    def by_key(self, idempotency_key: str) -> RunRecord | None:
        """The run that an Idempotency-Key has made, if it has made one.

        Raises:
            UnavailableError: The database cannot be used.
        """
        with self._read() as connection:
            run_id = connection.scalar(
                sa.select(_idempotency_keys.c.run_id).where(_idempotency_keys.c.key == idempotency_key)
            )
            return None if run_id is None else _by_id(connection, run_id)

    def get(self, run_id: str) -> RunRecord:
        """The run of this id.

        Raises:
            NotFoundError: There is none.
        """
        with self._read() as connection:
            row = connection.execute(sa.select(_runs).where(_runs.c.id == run_id)).mappings().first()
        if row is None:
            raise NotFoundError(
                f"no run {run_id!r} in this Lume; `lume-dagster runs list` shows those there are"
            )
        return _record(row)

    def current(self, flow_version: str, source_path: str) -> RunRecord | None:
        """The run that stands for a batch: the latest, corrections that failed left aside."""
        with self._read() as connection:
            row = _current(connection, flow_version, source_path)
        return None if row is None else _record(row)

    def correction(self, run_id: str) -> Correction | None:
        """What a run has to do with corrections, if it has."""
        return self.corrections([run_id]).get(run_id)

    def corrections(self, run_ids: Sequence[str]) -> dict[str, Correction]:
        """What runs have to do with corrections, of those that have."""
        with self._read() as connection:
            return _found_corrections(connection, run_ids)

    def find(
        self,
        *,
        flow_version: str | None = None,
        source_path: str | None = None,
        statuses: Sequence[RunStatus] = (),
        page: int = 1,
        size: int = 50,
    ) -> tuple[list[RunRecord], int]:
        """A page of the runs that match, newest first, and the number of all that match."""
        query = sa.select(_runs)
        if flow_version is not None:
            query = query.where(_runs.c.flow_version == flow_version)
        if source_path is not None:
            query = query.where(_runs.c.source_path == source_path)
        if statuses:
            query = query.where(_runs.c.status.in_([status.value for status in statuses]))
        with self._read() as connection:
            total = connection.scalar(sa.select(sa.func.count()).select_from(query.subquery()))
            rows = connection.execute(
                query.order_by(_runs.c.seq.desc()).limit(size).offset((page - 1) * size)
            ).mappings()
            return [_record(row) for row in rows], int(total or 0)

    def active(self) -> list[RunRecord]:
        """All runs that have not ended."""
        with self._read() as connection:
            rows = connection.execute(sa.select(_runs).where(_runs.c.active_batch.is_not(None))).mappings()
            return [_record(row) for row in rows]

    def is_over(self, run_id: str) -> bool:
        """Whether there is a run of this id, and it has ended."""
        query = sa.select(_runs.c.id).where(_runs.c.id == run_id, _runs.c.active_batch.is_(None))
        with self._read() as connection:
            return connection.execute(query).first() is not None

    def without_results(self) -> set[str]:
        """The ids of all runs that ended without results."""
        query = sa.select(_runs.c.id).where(_runs.c.active_batch.is_(None), _runs.c.outcome.is_(sa.null()))
        with self._read() as connection:
            return set(connection.scalars(query))

    def advance(self, run_id: str, owner: str, status: RunStatus, **columns: Any) -> bool:
        """Moves a run of this owner forward to `status`.

        Returns:
            Whether it moved. It does not where the run has ended meanwhile (it was given up as crashed), or
            where it has gone further already.
        """
        values: dict[str, Any] = {"status": status.value, **columns}
        if status.is_final:
            values |= {"active_batch": None, "finished_at": utc_now()}
        with self._write() as connection:
            moved = connection.execute(
                sa.update(_runs)
                .where(
                    _runs.c.id == run_id,
                    _runs.c.owner == owner,
                    _runs.c.status.in_([earlier.value for earlier in predecessors(status)]),
                )
                .values(values)
            )
            return bool(moved.rowcount == 1)

    def beat(self, owner: str, run_ids: Sequence[str]) -> list[RunRecord]:
        """Renews the leases of these runs of this owner, and returns those that are still active."""
        mine = _runs.c.id.in_(run_ids) & (_runs.c.owner == owner) & _runs.c.active_batch.is_not(None)
        with self._write() as connection:
            connection.execute(sa.update(_runs).where(mine).values(heartbeat=_runs.c.heartbeat + 1))
            return [_record(row) for row in connection.execute(sa.select(_runs).where(mine)).mappings()]

    def crash(self, run_id: str, *, heartbeat: int, error_message: str) -> bool:
        """Ends a run as CRASHED, if it is active and its lease was not renewed since `heartbeat`."""
        with self._write() as connection:
            ended = connection.execute(
                sa.update(_runs)
                .where(
                    _runs.c.id == run_id, _runs.c.active_batch.is_not(None), _runs.c.heartbeat == heartbeat
                )
                .values(
                    status=RunStatus.CRASHED.value,
                    active_batch=None,
                    finished_at=utc_now(),
                    error_message=error_message,
                )
            )
            return bool(ended.rowcount == 1)

    def request_cancel(self, run_id: str) -> None:
        """Asks the process that works on a run to cancel it."""
        with self._write() as connection:
            connection.execute(
                sa.update(_runs)
                .where(_runs.c.id == run_id, _runs.c.active_batch.is_not(None))
                .values(cancel_requested=True)
            )

    def close(self) -> None:
        """Closes the connections to the database."""
        self._engine.dispose()

    def _write(self) -> AbstractContextManager[sa.Connection]:
        return self._transaction(immediate=True)

    def _read(self) -> AbstractContextManager[sa.Connection]:
        return self._transaction(immediate=False)

    @contextmanager
    def _transaction(self, *, immediate: bool) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                connection.execution_options(lume_immediate=immediate)
                with connection.begin():
                    yield connection
        except IntegrityError:
            raise
        except DatabaseError as error:
            lasts = any(fault in str(error.orig) for fault in _LASTING_SQLITE_FAULTS)
            raise (UnusableHomeError if lasts else UnavailableError)(
                f"the store {self._where} cannot be used: {error.orig}; check that its folder is writable, its disk "
                "not full and the file not damaged. The files of the runs that have ended are not touched"
            ) from error


def _create(
    connection: sa.Connection, new: NewRun, fingerprint: str, owner: str, idempotency_key: str | None
) -> tuple[RunRecord, bool]:
    if idempotency_key is not None:
        known = connection.execute(
            sa.select(_idempotency_keys).where(_idempotency_keys.c.key == idempotency_key)
        ).first()
        if known is not None:
            if known.request_hash != new.request_hash():
                raise IdempotencyKeyReusedError(
                    f"the Idempotency-Key was used for another request, which made run {known.run_id}",
                    run_id=known.run_id,
                )
            return _by_id(connection, known.run_id), False

    _pin_fingerprint(connection, new.flow_version, fingerprint)
    latest = _current(connection, new.flow_version, new.source_path)
    if new.correction is not None:
        return _create_correction(connection, new, new.correction, latest, fingerprint, owner)
    if latest is not None and latest["status"] in ACTIVE:
        run, created = _record(latest), False
    elif latest is not None and RunStatus(latest["status"]).has_succeeded and not new.force_rerun:
        raise AlreadySucceededError(
            f"run {latest['id']} already mapped {new.source_path!r} with {new.flow_version} "
            f"({latest['status']})",
            run_id=latest["id"],
        )
    else:
        run, created = _insert(connection, new, fingerprint, owner), True
        if latest is not None:
            _keep_undone(connection, run.id, latest)
    if idempotency_key is not None:
        connection.execute(
            sa.insert(_idempotency_keys).values(
                key=idempotency_key, request_hash=new.request_hash(), run_id=run.id
            )
        )
    return run, created


def _create_correction(
    connection: sa.Connection,
    new: NewRun,
    correction: Correction,
    latest: sa.RowMapping | None,
    fingerprint: str,
    owner: str,
) -> tuple[RunRecord, bool]:
    if latest is None or latest["id"] != correction.corrects:
        found = None if latest is None else _correction(connection, latest["id"])
        if latest is not None and found == correction:
            return _record(latest), False
        raise SupersededError(
            f"another run of {new.source_path!r} was started meanwhile; correct the rejects of that one, once it has "
            "ended",
            run_id=None if latest is None else latest["id"],
        )
    run = _insert(connection, new, fingerprint, owner)
    connection.execute(sa.insert(_corrections).values(run_id=run.id, **asdict(correction)))
    return run, True


def _keep_undone(connection: sa.Connection, run_id: str, latest: sa.RowMapping) -> None:
    """Keep that a new run takes the place of a correction, or of a rerun that was to do so and failed."""
    known = _correction(connection, latest["id"])
    if known is not None and (known.corrects or not RunStatus(latest["status"]).has_succeeded):
        undone = Correction(None, latest["id"] if known.corrects else known.undoes, None, known.records)
        connection.execute(sa.insert(_corrections).values(run_id=run_id, **asdict(undone)))


def _current(connection: sa.Connection, flow_version: str, source_path: str) -> sa.RowMapping | None:
    # A correction that failed leaves the batch as it was.
    corrections = sa.select(_corrections.c.run_id).where(_corrections.c.corrects.is_not(None))
    has_failed = _runs.c.status.in_([RunStatus.FAILED.value, RunStatus.CRASHED.value])
    return (
        connection.execute(
            sa.select(_runs)
            .where(
                _runs.c.flow_version == flow_version,
                _runs.c.source_path == source_path,
                ~(has_failed & _runs.c.id.in_(corrections)),
            )
            .order_by(_runs.c.seq.desc())
            .limit(1)
        )
        .mappings()
        .first()
    )


def _correction(connection: sa.Connection, run_id: str) -> Correction | None:
    return _found_corrections(connection, [run_id]).get(run_id)


def _found_corrections(connection: sa.Connection, run_ids: Sequence[str]) -> dict[str, Correction]:
    rows = connection.execute(sa.select(_corrections).where(_corrections.c.run_id.in_(run_ids))).mappings()
    return {
        row["run_id"]: Correction(**{name: row[name] for name in Correction.__dataclass_fields__})
        for row in rows
    }


def _pin_fingerprint(connection: sa.Connection, flow_version: str, fingerprint: str) -> None:
    used = connection.scalar(
        sa.select(_flow_versions.c.fingerprint).where(_flow_versions.c.flow_version == flow_version)
    )
    if used is None:
        connection.execute(
            sa.insert(_flow_versions).values(
                flow_version=flow_version, fingerprint=fingerprint, first_used_at=utc_now()
            )
        )
    elif used != fingerprint:
        name, _, version = flow_version.partition(":")
        raise FlowChangedError(
            f"the file of {flow_version} was edited after its first use (fingerprint {fingerprint[:12]}, "
            f"first used with {used[:12]}); a version is immutable: put the change into "
            f"{name}/v{int(version[1:]) + 1}.yaml and restore {version}.yaml"
        )


def _insert(connection: sa.Connection, new: NewRun, fingerprint: str, owner: str) -> RunRecord:
    batch = hashlib.sha256(f"{new.flow_version}\0{new.source_path}".encode()).hexdigest()
    run_id = f"run_{ULID()}"
    connection.execute(
        sa.insert(_runs).values(
            id=run_id,
            flow_version=new.flow_version,
            source_path=new.source_path,
            active_batch=batch,
            status=RunStatus.CREATED.value,
            forced=new.force_rerun,
            fingerprint=fingerprint,
            owner=owner,
            created_at=utc_now(),
            run_metadata=dict(new.run_metadata),
        )
    )
    return _by_id(connection, run_id)


def _by_id(connection: sa.Connection, run_id: str) -> RunRecord:
    return _record(connection.execute(sa.select(_runs).where(_runs.c.id == run_id)).mappings().one())


def _record(row: sa.RowMapping) -> RunRecord:
    fields = {name: row[name] for name in RunRecord.__dataclass_fields__}
    return RunRecord(**fields | {"status": RunStatus(row["status"])})


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnusableHomeError(
            f"the home {folder} of the embedded Lume cannot be made: {error.strerror}; "
            "set LUME_HOME to a folder that this user may write"
        ) from error


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # SQLAlchemy opens the transactions (see _begin_sqlite), the driver must not.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _begin_sqlite(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get("lume_immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
