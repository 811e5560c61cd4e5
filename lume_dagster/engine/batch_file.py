"""The file of a batch: opened where it lies, decompressed on the way, never held as a whole."""

from __future__ import annotations

import io
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import pyarrow as pa

from lume_dagster.engine.errors import BatchError
from lume_dagster.engine.stage import os_reason

_BUFFER = 1024 * 1024
_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_REMOTE_BLOCK = 8 * 1024 * 1024
_STORES = {"s3": "s3fs", "gs": "gcsfs", "abfs": "adlfs", "file": "fsspec", "memory": "fsspec"}
"""The stores that are read, each with the package that it takes."""

_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {"config_kwargs": {"retries": {"max_attempts": 3}, "connect_timeout": 10, "read_timeout": 60}}
}
_COMPRESSED_SUFFIXES = {".gz", ".gzip", ".zst", ".zstd"}


@dataclass(frozen=True)
class BatchFile:
    """One file that holds a batch.

    Attributes:
        name: What the user calls it; stands in messages.
        open_binary: Opens it from its start.
        local: Where it lies, if it is a file of this machine.
    """

    name: str
    open_binary: Callable[[], BinaryIO]
    local: Path | None

    @property
    def is_rereadable(self) -> bool:
        """Whether it can be read a second time; a pipe cannot."""
        return self.local is None or stat.S_ISREG(self.local.stat().st_mode)

    @property
    def size(self) -> int:
        """How many bytes it has."""
        with self.open_binary() as file:
            return file.seek(0, io.SEEK_END)

    def open_plain(self) -> PlainBytes:
        """Open it for reading from start to end, decompressed if it starts like gzip or zstd."""
        return PlainBytes(self.open_binary(), self.name)


class _Counted(io.RawIOBase):
    """A file that knows how many of its bytes were read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            count: int = self._file.readinto(buffer)  # type: ignore[attr-defined]
        except OSError:
            raise
        except Exception as error:  # of the libraries of object stores
            raise OSError(f"{type(error).__name__}: {error}") from error
        self.count += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class PlainBytes:
    """The decompressed bytes of a file.

    Args:
        file: The file, at its start; closed with this object.
        name: What messages call it.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._name = name
        self._offset = 0
        self._counted = _Counted(file)
        buffered = io.BufferedReader(self._counted, _BUFFER)
        start = buffered.peek(4)
        compression = next((name for magic, name in _COMPRESSIONS.items() if start.startswith(magic)), None)
        self._file = (
            buffered
            if compression is None
            else pa.CompressedInputStream(pa.PythonFile(buffered), compression)
        )

    def __enter__(self) -> PlainBytes:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        self._counted.close()

    @property
    def bytes_read(self) -> int:
        """Bytes of the file itself that were read, compressed if it is."""
        return self._counted.count

    def read(self, size: int) -> bytes:
        """Up to so many bytes; empty at the end.

        Raises:
            BatchError: Reading or decompressing fails.
        """
        try:
            data: bytes = self._file.read(size)
        except OSError as error:
            raise BatchError(
                f"{self._name}: reading failed at byte offset {self._offset}: {os_reason(error)}"
            ) from error
        self._offset += len(data)
        return data


def _remote_file(uri: str) -> BatchFile:
    """Find an object by its URI; what opens the store stands in the environment of the process.

    Raises:
        BatchError: It is not there, may not be read, or the store cannot be reached or is not known.
    """
    protocol = uri.partition("://")[0]
    if protocol not in _STORES or "::" in uri:
        raise BatchError(
            f"{protocol}://: a batch lies in a file or under {', '.join(f'{name}://' for name in _STORES)}"
        )
    try:
        import fsspec  # noqa: PLC0415 - an extra

        files, path = fsspec.core.url_to_fs(uri, use_listings_cache=False, **_OPTIONS.get(protocol, {}))
    except ImportError as error:
        raise BatchError(f"{uri}: needs the package {_STORES[protocol]}; install it") from error
    with _told(uri):
        if files.isdir(path) and not files.isfile(path):
            raise BatchError(f"{uri}: this is a directory; a batch is one file")
        files.open(path, "rb").close()

    def open_binary() -> BinaryIO:
        with _told(uri):
            opened: BinaryIO = files.open(path, "rb", block_size=_REMOTE_BLOCK)
            return opened

    return BatchFile(uri, open_binary, None)


@contextmanager
def _told(uri: str) -> Iterator[None]:
    """What goes wrong at a store as an error of the batch."""
    try:
        yield
    except FileNotFoundError as error:
        raise BatchError(f"{uri}: there is no such file") from error
    except PermissionError as error:
        raise BatchError(
            f"{uri}: no permission to read it; see the credentials in the environment of the process"
        ) from error
    except BatchError:
        raise
    except Exception as error:
        raise BatchError(f"{uri}: the store cannot be read: {type(error).__name__}: {error}") from error


def suffix_of(source_path: str) -> str:
    """The extension that tells a batch's format, in lower case; one that tells a compression does not count."""
    path = PurePosixPath(source_path)
    if path.suffix.lower() in _COMPRESSED_SUFFIXES:
        path = path.with_suffix("")
    return path.suffix.lower()


def open_batch_file(source_path: str, name: str) -> BatchFile:
    """Find the file of a batch.

    Args:
        source_path: A path, or a URI of an object store.
        name: What messages call it.

    Raises:
        BatchError: It is not there, or cannot be opened.
    """
    if "://" in source_path:
        return _remote_file(source_path)
    return _local_file(name, Path(source_path))


def _local_file(name: str, path: Path) -> BatchFile:
    try:
        if path.is_dir():
            raise BatchError(f"{name}: this is a directory; a batch is one file")
        with path.open("rb"):
            pass
    except FileNotFoundError as error:
        raise BatchError(f"{name}: there is no such file") from error
    except (OSError, ValueError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else str(error)
        raise BatchError(f"{name}: the file cannot be opened: {reason}") from error
    return BatchFile(name, lambda: path.open("rb", buffering=0), path)
