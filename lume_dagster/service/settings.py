"""What an embedded Lume is configured by."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ByteSize, ConfigDict, Field, SecretStr, field_validator

from lume_dagster.urls import checked_base_url


class LanguageModelSettings(BaseModel):
    """Which language model is asked about what a flow's draft leaves open, and what it may see of the sample."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    base_url: str = Field(
        description="Address of an OpenAI-compatible API, such as https://llm.example.com/v1.", repr=False
    )
    model: str = Field(min_length=1, max_length=200, description="The model, as the API calls it.")
    api_key: SecretStr | None = Field(default=None, description="Key of the API, sent as a bearer token.")
    sample_values: int = Field(
        default=5, ge=0, le=50, description="How many values of a column the model may see."
    )
    mask: bool = Field(
        default=False, description="Show it only how values are written: letters as a and A, digits as 9."
    )
    timeout_seconds: float = Field(
        default=45.0, gt=0, le=600, description="How long an answer may take, further attempts included."
    )

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        return checked_base_url(value, "https://llm.example.com/v1")

    @field_validator("api_key")
    @classmethod
    def _sendable(cls, value: SecretStr | None) -> SecretStr | None:
        key = value.get_secret_value() if value else ""
        if not all("!" <= char <= "~" for char in key):
            raise ValueError("holds a blank, a line break or a character outside ASCII")
        return value if key else None


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
    max_upload_bytes: ByteSize = Field(
        default=ByteSize(1 << 30), ge=1, description="How large a file may be that is handed over."
    )
    language_model: LanguageModelSettings | None = Field(
        default=None,
        description="Asked about what a flow out of a sample leaves open; if not given, nothing leaves this machine.",
    )
    language_model_fault: str | None = Field(
        default=None,
        description="Why the language model that is configured cannot be asked; no flow is made out of a sample then.",
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
