"""The resource that drives Lume runs from Dagster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

import dagster as dg
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, field_validator

from lume_dagster.client import ClientSettings, LumeRun
from lume_dagster.connect import LumeConnection

if TYPE_CHECKING:
    from lume_dagster.client import LumeClient

_ClientDefaults = ClientSettings()


class LumeResource(dg.ConfigurableResource):  # type: ignore[misc,type-arg,unused-ignore]
    """A Lume, hosted or embedded, and how its runs are driven.

    Without `base_url` (and without `LUME_BASE_URL`), runs are carried out by the embedded Lume in the step's own
    process: no server, no port, the same behaviour.

    Example:
        ```python
        dg.Definitions(
            assets=[...],
            resources={"lume": LumeResource(base_url="https://lume.example.com", api_key=dg.EnvVar("LUME_API_KEY"))},
        )
        ```
    """

    model_config = ConfigDict(extra="forbid")

    base_url: str | None = Field(
        default=None, description="URL of a hosted Lume; LUME_BASE_URL if not given; else the embedded Lume."
    )
    api_key: str | None = Field(
        default=None, repr=False, description="Key for the hosted Lume; LUME_API_KEY if not given."
    )
    home: str | None = Field(
        default=None,
        description="Folder in which the embedded Lume keeps its data; LUME_HOME if not given, else .lume.",
    )
    flows: str | None = Field(
        default=None,
        description="Folder of the embedded Lume's flow versions; LUME_FLOWS if not given, else flows.",
    )
    on_existing: Literal["reuse", "fail"] = Field(
        default="reuse",
        description="What to do with a batch that Lume has mapped before, without a forced rerun: take the "
        "results of that run, or fail.",
    )
    on_interrupt: Literal["cancel", "leave"] = Field(
        default="cancel",
        description="What to do with the Lume run when a user terminates the Dagster run. An eviction always "
        "leaves it, and the retry finds it again.",
    )
    wait_timeout_seconds: float = Field(
        default=3600, gt=0, description="How long a step waits for a run. The run itself goes on after that."
    )
    max_concurrent_runs: int = Field(
        default=10,
        ge=1,
        description="How many Lume runs a step that drives many batches keeps going at once.",
    )
    request_timeout_seconds: float = Field(
        default=_ClientDefaults.request_timeout, gt=0, description="How long one request to Lume may take."
    )
    outage_budget_seconds: float = Field(
        default=_ClientDefaults.outage_budget_seconds,
        ge=0,
        description="How long Lume may be out of reach, in one stretch, before a step gives up on it.",
    )
    run_url: str | None = Field(
        default=None,
        description="Template of the page of a run, such as https://app.example.com/runs/{run_id}; it becomes a "
        "link in the metadata.",
    )

    _client: LumeClient | None = PrivateAttr(default=None)

    @field_validator("run_url")
    @classmethod
    def _has_run_id(cls, template: str | None) -> str | None:
        if template is not None and "{run_id}" not in template:
            raise ValueError("run_url has to hold {run_id}, the place of the run's id")
        return template

    @property
    def connection(self) -> LumeConnection:
        """The Lume that this resource speaks to."""
        return LumeConnection(
            base_url=self.base_url,
            api_key=SecretStr(self.api_key) if self.api_key else None,
            home=self.home,
            flows=self.flows,
            settings=ClientSettings(
                request_timeout=self.request_timeout_seconds,
                outage_budget_seconds=self.outage_budget_seconds,
            ),
        )

    @property
    def client(self) -> LumeClient:
        """The client of this Lume: one, with one connection pool, for the life of the resource.

        Raises:
            LumeError: The base URL is not valid, or the embedded Lume cannot be opened.
        """
        if self._client is None:
            self._client = self.connection.open()
        return self._client

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002 - Dagster's
        """Closes the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def url_of(self, run: LumeRun) -> str | None:
        """The page of a run, where `run_url` says how to build its address."""
        return self.run_url.replace("{run_id}", quote(run.id, safe="")) if self.run_url else None

    def __repr__(self) -> str:
        """Names the Lume; without the key."""
        return f"LumeResource({self.connection})"

    __str__ = __repr__
