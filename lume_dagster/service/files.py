"""The files of the runs: a private staging folder each while under way, an immutable one when finished."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
from collections.abc import Callable, Collection
from pathlib import Path

from ulid import ULID

from lume_dagster.service.settings import ServiceSettings

SOURCE, MAPPED, REJECTS = "source.parquet", "mapped.parquet", "rejects.parquet"


class RunFiles:
    """Where the files of each run lie below the home.

    Args:
        settings: Names the home.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._runs = settings.runs_dir.absolute()
        self._staging = settings.staging_dir.absolute()
        self._spill = settings.home.absolute() / "spill" / f"{socket.gethostname()}-{os.getpid()}-{ULID()}"

    @property
    def folders(self) -> tuple[Path, Path]:
        """The two folders that hold runs' files."""
        return self._staging, self._runs

    def path(self, run_id: str, name: str) -> Path:
        """A file of a finished run."""
        return self._runs / run_id / name

    def open_staging(self, run_id: str) -> Path:
        """Makes the empty folder in which a run works."""
        folder = self._staging / run_id
        folder.mkdir(parents=True)
        return folder

    def publish(self, run_id: str) -> dict[str, str]:
        """Moves what a run wrote into its place, in one step and durably.

        Returns:
            The SHA-256 of each output, by its kind.
        """
        staged, published = self._staging / run_id, self._runs / run_id
        checksums = {Path(name).stem: _checksum(staged / name) for name in (MAPPED, REJECTS)}
        for file in staged.iterdir():
            sync(file)
        sync(staged)
        self._runs.mkdir(parents=True, exist_ok=True)
        staged.rename(published)
        sync(self._runs)
        return checksums

    def discard(self, run_id: str) -> None:
        """Removes whatever a run left, staged or published."""
        for folder in (self._staging / run_id, self._runs / run_id):
            shutil.rmtree(folder, ignore_errors=True)

    def open_spill(self) -> Path:
        """The folder into which this process may spill what does not fit into memory.

        What processes of this machine that have died left beside it is removed.
        """
        host = socket.gethostname()
        for folder in self._spill.parent.glob(f"{host}-*"):
            pid = folder.name.removeprefix(f"{host}-").partition("-")[0]
            if pid.isdecimal() and not _is_alive(int(pid)):
                shutil.rmtree(folder, ignore_errors=True)
        return self._spill

    def close_spill(self) -> None:
        """Removes what this process spilled."""
        shutil.rmtree(self._spill, ignore_errors=True)

    def sweep(self, *, is_over: Callable[[str], bool], without_results: Collection[str]) -> None:
        """Removes what processes that have died left behind.

        Args:
            is_over: Tells of a run id whether that run has ended; its staging folder then belongs to nobody.
            without_results: The runs that ended without results; whatever lies in their place was never told of.
        """
        for folder in _folders_in(self._staging):
            if is_over(folder.name):
                shutil.rmtree(folder, ignore_errors=True)
        for folder in _folders_in(self._runs):
            if folder.name in without_results:
                shutil.rmtree(folder, ignore_errors=True)


def _folders_in(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _checksum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def sync(path: Path) -> None:
    """Makes what was written to a file, or to a folder's list of files, last."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
