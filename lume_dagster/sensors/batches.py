"""Where batches are looked for: files whose path holds the partition key, or the rows of a query."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Protocol, TextIO

from lume_dagster.client import LumeError
from lume_dagster.sensors.partitions import PARTITION_PLACE
from lume_dagster.urls import refuse_credentials

# What changes when a file is replaced, by the names that the file systems of fsspec give it.
_FILE_MARKS = (
    "size",
    "mtime",
    "ETag",
    "LastModified",
    "etag",
    "updated",
    "last_modified",
    "md5Hash",
    "md5",
    "created",
)
_KEY = re.compile("[^/.][^/]*", re.DOTALL)


class BatchSource(Protocol):
    """Tells which batches there are."""

    @property
    def settle_seconds(self) -> float:
        """How long a batch has to stay as it is before it is taken for whole."""

    def find(self) -> dict[str, str]:
        """The batches that are there: for each partition key a mark that changes when the batch does.

        Raises:
            LumeError: It cannot be looked.
        """

    def __str__(self) -> str:
        """Names the place, without secrets."""


@dataclass(frozen=True)
class FoundFile:
    """A file of a batch.

    Attributes:
        mark: Changes when the file does.
        modified: When it was last written, where the file system tells.
    """

    mark: str
    modified: datetime | None


@dataclass(frozen=True)
class BatchFiles:
    """One file a batch, its partition key in its path.

    Attributes:
        path: A path or URI that fsspec can list, with `{partition_key}` once, in one part of the path:
            `s3://bucket/incoming/{partition_key}.csv`. Give `build_lume_assets` the same one.
        settle_seconds: A file is still being written until it has kept its size and its time for so long.
        storage_options: Options of the file system, as fsspec takes them; credentials belong here, as the path is
            shown.

    Raises:
        ValueError: The path does not hold `{partition_key}` once, or it holds credentials.
    """

    path: str
    settle_seconds: float = 30.0
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        refuse_credentials(self.path, "path", "give them in storage_options")
        if self.path.count(PARTITION_PLACE) != 1:
            raise ValueError(
                f"path {self.path!r} has to hold {PARTITION_PLACE} once, where the partition key belongs"
            )

    def find(self) -> dict[str, str]:
        """The files that are there now, with marks made of their sizes and times."""
        from fsspec.core import url_to_fs  # noqa: PLC0415 - of no use to who has no such sensor

        try:
            files, place = url_to_fs(self.path, **self.storage_options)
            # A listing that is kept from the last look would show nothing new.
            files.invalidate_cache()
            before, after = place.split(PARTITION_PLACE)
            found = files.glob(f"{glob.escape(before)}*{glob.escape(after)}", detail=True)
        except FileNotFoundError:
            return {}
        except (OSError, ImportError, ValueError) as error:
            raise LumeError(f"cannot look for batches in {self}: {error}") from error
        named = re.compile(f"{re.escape(before)}({_KEY.pattern}){re.escape(after)}", re.DOTALL)
        return {
            match[1]: _mark([info.get(name) for name in _FILE_MARKS])
            for path, info in found.items()
            if info.get("type") == "file" and (match := named.fullmatch(path))
        }

    def look(self, key: str) -> FoundFile | None:
        """The file of a batch as it is now; None if there is none.

        Raises:
            LumeError: It cannot be looked, or no file can have this key.
        """
        with self._place_of(key) as (files, place):
            files.invalidate_cache()
            if not files.isfile(place):
                return None
            mark = _mark([files.info(place).get(name) for name in _FILE_MARKS])
            try:
                modified = files.modified(place)
            except NotImplementedError:  # this file system tells no times
                return FoundFile(mark, None)
        return FoundFile(mark, modified if modified.tzinfo else modified.replace(tzinfo=timezone.utc))

    @contextmanager
    def open(self, key: str) -> Iterator[TextIO]:
        """The file of a batch as UTF-8 text, with its line ends as they are.

        Raises:
            LumeError: It cannot be read, or no file can have this key.
        """
        with (
            self._place_of(key) as (files, place),
            files.open(place, "r", encoding="utf-8-sig", newline="") as text,
        ):
            yield text

    def path_of(self, key: str) -> str:
        """Where the file of a batch lies.

        Raises:
            LumeError: No file can have this key.
        """
        if not _KEY.fullmatch(key):
            raise LumeError(
                f"no file of {self} is that of the batch {key!r}: its key has to be one part of a path"
            )
        return self.path.replace(PARTITION_PLACE, key)

    @contextmanager
    def _place_of(self, key: str) -> Iterator[tuple[Any, str]]:
        """The file system of a batch's file, and where it lies there; what fails with it is told as a `LumeError`."""
        from fsspec.core import url_to_fs  # noqa: PLC0415 - of no use to who has no such files

        path = self.path_of(key)
        try:
            place = url_to_fs(path, **self.storage_options)
        except (OSError, ImportError, ValueError) as error:
            raise LumeError(f"cannot read {path}: {error}") from error
        try:
            yield place
        except OSError as error:
            raise LumeError(f"cannot read {path}: {error}") from error

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True)
class BatchQuery:
    """One row of a query a batch.

    Attributes:
        connection_env: Name of the environment variable that holds the database's SQLAlchemy URL.
        query: What to ask. Its first column is the partition key; the others, if there are any, change when the batch
            does: `SELECT batch_id, max(updated_at), count(*) FROM invoices GROUP BY batch_id`.
        settle_seconds: A batch is still being written until its row has been the same for so long.
    """

    connection_env: str
    query: str
    settle_seconds: float = 0.0

    def find(self) -> dict[str, str]:
        """The batches that the query gives now, with marks made of what stands beside their keys."""
        return {str(key): _mark(others) for key, *others in self._rows()}

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        import sqlalchemy as sa  # noqa: PLC0415 - of no use to who has no such sensor
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415
        from sqlalchemy.pool import NullPool  # noqa: PLC0415

        text = os.environ.get(self.connection_env)
        if not text:
            raise LumeError(
                f"{self}: set the environment variable {self.connection_env} to the database's URL"
            )
        try:
            database = sa.create_engine(text, poolclass=NullPool)
            with database.connect() as connection:
                for row in connection.execute(sa.text(self.query)):
                    if row[0] is None:
                        raise LumeError(f"{self}: the first column, the partition key, is null in a row")
                    yield tuple(row)
        except (SQLAlchemyError, ImportError) as error:
            # The message of a refused connection may hold the URL.
            said = " ".join(str(getattr(error, "orig", None) or error).split()).replace(text, "***")
            raise LumeError(f"cannot look for batches by {self}: {said}") from None

    def __str__(self) -> str:
        return f"the query on {self.connection_env}"


def _mark(parts: list[Any]) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
