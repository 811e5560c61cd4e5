"""What an embedded Lume is configured by."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class ServiceSettings(BaseModel):
    """Where an embedded Lume keeps its data, and how much of the machine it may use.

    Relative paths are taken from the working directory of the process.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path = Field(default=Path(".lume"), description="Folder of the store and of every run's files.")
    flows: Path = Field(default=Path("flows"), description="Folder of the flow versions, FLOW/vN.yaml.")
    store_url: str | None = Field(
        default=None,
        repr=False,
        description="SQLAlchemy URL of the store; lume.db in the home if not given.",
    )
    max_concurrent_runs: int = Field(default=2, ge=1, description="Runs that one process works on at once.")
    lease_seconds: float = Field(
        default=10.0,
        gt=0,
        description="A run whose process shows no sign of life for so many seconds is CRASHED.",
    )
    memory_limit: str = Field(
        default="1GB", description="Memory that the engine may take, as DuckDB writes it."
    )
    threads: int | None = Field(
        default=None, ge=1, description="Threads of the engine; all cores if not given."
    )
    max_upload_bytes: int = Field(
        default=1 << 30, ge=1, description="How large a file may be that is handed over."
    )

    @property
    def runs_dir(self) -> Path:
        """Folder of the finished runs' files."""
        return self.home / "runs"

    @property
    def staging_dir(self) -> Path:
        """Folder of the files of the runs under way."""
        return self.home / "staging"

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the store."""
        return self.store_url or f"sqlite:///{self.home / 'lume.db'}"
