"""The files of the runs: a private staging folder each while under way, an immutable one when finished."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

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
            _sync(file)
        _sync(staged)
        self._runs.mkdir(parents=True, exist_ok=True)
        staged.rename(published)
        _sync(self._runs)
        return checksums

    def discard(self, run_id: str) -> None:
        """Removes whatever a run left, staged or published."""
        for folder in (self._staging / run_id, self._runs / run_id):
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self, is_abandoned: Callable[[str], bool]) -> list[str]:
        """Removes the staging folders of abandoned runs.

        Args:
            is_abandoned: Tells of a run id whether nobody works on that run any more.

        Returns:
            The ids of the runs whose folders were removed.
        """
        if not self._staging.is_dir():
            return []
        swept = [folder.name for folder in self._staging.iterdir() if is_abandoned(folder.name)]
        for run_id in swept:
            self.discard(run_id)
        return swept


def _checksum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
