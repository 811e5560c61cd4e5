"""Data that callers hand over: files and records, kept in the home under the hash of their content.

They are inputs: immutable, and never removed by Lume, so that a run can be repeated as long as its home exists.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, BinaryIO

from ulid import ULID

from lume_dagster.engine import BatchError, FlowVersion
from lume_dagster.service.errors import TooLargeError, UnavailableError
from lume_dagster.service.files import sync
from lume_dagster.service.settings import ServiceSettings

_UPLOAD = re.compile(r"upload:(?P<file>[0-9a-f]{64}(\.[a-z0-9]{1,10}){0,2})")
_RECORDS = re.compile(r"records:(?P<digest>[0-9a-f]{64})")
_PREFIXES = ("upload:", "records:")
_COMPRESSIONS = (".gz", ".gzip", ".zst", ".zstd")
_ABANDONED_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class FoundBatch:
    """Where a batch lies.

    Attributes:
        path: Its file, or what else the flow's source takes.
        flow: How it is to be read.
        name: What messages call it.
    """

    path: str
    flow: FlowVersion
    name: str


class Uploads:
    """What callers have handed over to one home.

    Args:
        settings: Names the home, and how large a file may be.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._files = settings.home.absolute() / "uploads"
        self._names = settings.home.absolute() / "upload-names"
        self._records = settings.home.absolute() / "records"
        self._incoming = settings.home.absolute() / "incoming"
        self._most_bytes = settings.max_upload_bytes

    def open(self) -> Incoming:
        """A place for a file that is being handed over.

        Raises:
            UnavailableError: The home cannot be written to.
        """
        return Incoming(self._incoming / str(ULID()), self._most_bytes)

    def keep_file(self, incoming: Incoming, name: str) -> tuple[str, bool]:
        """Keeps a file that has arrived as a whole.

        Args:
            incoming: The file.
            name: What its owner calls it. Its extension tells the format and is part of the source path; the rest is
                for people.

        Returns:
            The source path that names the file, and whether it is new here.

        Raises:
            UnavailableError: The home cannot be written to.
        """
        file = incoming.digest + _extension(name)
        is_new = incoming.move_to(self._files / file)
        if file_name := re.split(r"[/\\]", name)[-1]:
            self._keep_name(file, file_name)
        return f"upload:{file}", is_new

    def _keep_name(self, file: str, name: str) -> None:
        place = self._names / file
        with _told(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            written = self._incoming / str(ULID())
            written.write_text(name, encoding="utf-8", errors="replace")
            written.replace(place)

    def file_name(self, source_path: str) -> str | None:
        """What the owner of a file that was handed over has called it last; None if it was not, or had no name."""
        file = _UPLOAD.fullmatch(source_path)
        try:
            return (self._names / file["file"]).read_text(encoding="utf-8") if file else None
        except FileNotFoundError:
            return None

    def keep_records(self, records: Sequence[Mapping[str, Any]]) -> str:
        """Keeps records, and returns the source path that names them: the same one for the same records.

        Raises:
            UnavailableError: The home cannot be written to.
        """
        digest = hashlib.sha256()
        for line in _lines(records, sort_keys=True):
            digest.update(line)
        with self.open() as incoming:
            for line in _lines(records, sort_keys=False):
                incoming.write(line)
            incoming.move_to(self._records / f"{digest.hexdigest()}.jsonl")
        return f"records:{digest.hexdigest()}"

    def read_records(self, source_path: str) -> list[dict[str, Any]]:
        """The records that `keep_records` has given this name.

        Raises:
            BatchError: They are not there any more.
        """
        path = self._records / f"{source_path.removeprefix('records:')}.jsonl"
        try:
            return [json.loads(line) for line in path.read_bytes().splitlines()]
        except FileNotFoundError as error:
            raise BatchError(
                f"{source_path}: the corrections are no longer there; hand them in again"
            ) from error

    def find(self, source_path: str, flow: FlowVersion) -> FoundBatch:
        """Where a batch lies, and how it is to be read.

        A file that was handed over is read as the flow says, one for a flow that asks a database by its extension;
        records are JSON lines, whatever the flow says. Any other batch is left as it is.

        Raises:
            BatchError: Nothing of this name was handed over.
        """
        if not source_path.startswith(_PREFIXES):
            return FoundBatch(source_path, flow, source_path)
        path: Path | None = None
        changes: dict[str, str | None] = {}
        if file := _UPLOAD.fullmatch(source_path):
            path = self._files / file["file"]
            changes = {"format": None} if flow.source.format == "query" else {}
        elif records := _RECORDS.fullmatch(source_path):
            path = self._records / f"{records['digest']}.jsonl"
            changes = {"format": "jsonl", "encoding": "utf-8"}
        if path is None or not path.is_file():
            raise BatchError(
                f"{source_path}: nothing of this name was handed over to this Lume; hand the file over again and use "
                "the source path that `lume-dagster upload` or `upload_file` answers"
            )
        source = flow.source.model_copy(update=changes)
        file_name = self.file_name(source_path)
        name = source_path if file_name is None else f"{source_path} ({file_name!r})"
        return FoundBatch(str(path), replace(flow, source=source), name)

    def sweep(self) -> None:
        """Removes files whose senders broke off, and whose processes died before they could do so."""
        if not self._incoming.is_dir():
            return
        now = time.time()
        for path in self._incoming.iterdir():
            with suppress(FileNotFoundError):  # its sender may have ended meanwhile
                if now - path.stat().st_mtime > _ABANDONED_SECONDS:
                    path.unlink()


class Incoming:
    """A file on its way in. Used as a context manager, it leaves nothing behind unless it was moved.

    Args:
        path: Where it lies meanwhile.
        most_bytes: How large it may be.

    Raises:
        UnavailableError: The place cannot be written to.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._hash = hashlib.sha256()
        self.size = 0
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = path.open("xb")

    def __enter__(self) -> Incoming:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of what has arrived."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> None:
        """Adds to the file.

        Raises:
            TooLargeError: It would be larger than it may be.
            UnavailableError: The disk is full, or cannot be written to.
        """
        self.size += len(data)
        self.check_size(self.size)
        self._hash.update(data)
        with _told(self._path):
            self._file.write(data)

    def check_size(self, size: int) -> None:
        """Refuses a file of this size if it is too large.

        Raises:
            TooLargeError: It is.
        """
        if size > self._most_bytes:
            raise TooLargeError(
                f"a file that is handed over has at most {self._most_bytes} bytes here; let Lume read it where it "
                "lies, by its path or URI, or raise the limit of this Lume (LUME_MAX_UPLOAD)"
            )

    def move_to(self, place: Path) -> bool:
        """Puts the whole file into its place, durably and in one step; returns whether it was not there before.

        Raises:
            UnavailableError: The place cannot be written to.
        """
        with _told(place):
            self._file.flush()
            os.fsync(self._file.fileno())
            if place.is_file():
                return False
            place.parent.mkdir(parents=True, exist_ok=True)
            self._path.replace(place)
            sync(place.parent)
        return True


def _lines(records: Iterable[Mapping[str, Any]], *, sort_keys: bool) -> Iterable[bytes]:
    for record in records:
        yield json.dumps(record, sort_keys=sort_keys, separators=(",", ":")).encode() + b"\n"


def _extension(name: str) -> str:
    suffixes = PurePath(name.lower()).suffixes
    told = suffixes[-2:] if suffixes and suffixes[-1] in _COMPRESSIONS else suffixes[-1:]
    return "".join(suffix for suffix in told if re.fullmatch(r"\.[a-z0-9]{1,10}", suffix))


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tells of a failure at a place in the home."""
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"{path.parent} cannot be written to: {error.strerror}; make room, or set LUME_HOME to a folder that this "
            "user may write"
        ) from error
