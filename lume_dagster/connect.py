"""Chooses the Lume to speak to: a hosted one over the network, or the embedded one in this process.

This is the one place where the embedded Lume is opened. Everything else sees a client, and cannot tell
which of the two answers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from lume_dagster import client
from lume_dagster.client import ClientSettings, LumeError
from lume_dagster.urls import without_credentials

if TYPE_CHECKING:
    from lume_dagster.client import AsyncLumeClient, LumeClient
    from lume_dagster.service import EmbeddedTransport, LanguageModelSettings, ServiceSettings

_EMBEDDED_URL = "http://embedded.lume.internal"
_LANGUAGE_MODEL = "LUME_LLM_"


class LumeConnection(BaseModel):
    """Which Lume to speak to, and how patiently.

    What is not given is read from the environment: `LUME_BASE_URL`, `LUME_API_KEY`, `LUME_HOME`, `LUME_FLOWS`,
    `LUME_STORE_URL`, `LUME_MAX_UPLOAD`. Without a base URL, the embedded Lume of this process is used;
    `LUME_LLM_BASE_URL` and the other variables of that prefix name a language model for it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str | None = Field(default=None, description="URL of a hosted Lume.")
    api_key: SecretStr | None = Field(default=None, description="Key for the hosted Lume.")
    home: str | None = Field(default=None, description="Folder in which the embedded Lume keeps its data.")
    flows: str | None = Field(default=None, description="Folder of the embedded Lume's flow versions.")
    settings: ClientSettings = Field(default_factory=ClientSettings, description="Timeouts and retries.")

    def open(self) -> LumeClient:
        """A client of this Lume.

        Raises:
            LumeError: The embedded Lume's dependencies are not installed.
            ValueError: The base URL or the key is not usable.
        """
        return client.LumeClient(self._url(), self._key(), settings=self.settings, transport=self._embedded())

    def open_async(self) -> AsyncLumeClient:
        """An asynchronous client of this Lume.

        Raises:
            LumeError: The embedded Lume's dependencies are not installed.
            ValueError: The base URL or the key is not usable.
        """
        return client.AsyncLumeClient(
            self._url(), self._key(), settings=self.settings, transport=self._embedded()
        )

    @property
    def is_embedded(self) -> bool:
        """Whether the embedded Lume is used."""
        return self._hosted_url() is None

    def __str__(self) -> str:
        """Names the Lume in logs and messages; without the key."""
        if self.is_embedded:
            return f"embedded Lume (data in {self._home().absolute()}, flows from {self._flows().absolute()})"
        return f"Lume at {re.split('[?#]', without_credentials(self._url()))[0]}"

    def __repr__(self) -> str:
        """Names the Lume; without the key."""
        return f"LumeConnection({self})"

    def _hosted_url(self) -> str | None:
        return self.base_url or os.environ.get("LUME_BASE_URL") or None

    def _url(self) -> str:
        return self._hosted_url() or _EMBEDDED_URL

    def _key(self) -> str | None:
        if self.is_embedded:
            return None
        return self.api_key.get_secret_value() if self.api_key else os.environ.get("LUME_API_KEY")

    def _home(self) -> Path:
        return Path(self.home or os.environ.get("LUME_HOME") or ".lume")

    def _flows(self) -> Path:
        return Path(self.flows or os.environ.get("LUME_FLOWS") or "flows")

    def embedded_settings(self, max_upload: str | None = None) -> ServiceSettings:
        """The settings of the embedded Lume. A language model that is half configured hinders what asks it, no more.

        Args:
            max_upload: How large a file may be that is handed over: bytes, or a number with a unit, such as `2GiB`.
                It goes before what the environment says.

        Raises:
            LumeError: Its dependencies are not installed, or a setting is not usable.
        """
        service = _service()
        max_upload = max_upload or os.environ.get("LUME_MAX_UPLOAD")
        model, fault = None, None
        try:
            model = self.language_model()
        except LumeError as error:
            fault = str(error)
        try:
            settings: ServiceSettings = service.ServiceSettings(
                home=self._home(),
                flows=self._flows(),
                store_url=os.environ.get("LUME_STORE_URL") or None,
                language_model=model,
                language_model_fault=fault,
                **({"max_upload_bytes": max_upload} if max_upload else {}),
            )
        except ValidationError:
            raise LumeError(
                f"LUME_MAX_UPLOAD (--max-upload): {max_upload!r} is no size; write a number of bytes, or one with "
                "a unit, such as 500MB or 2GiB"
            ) from None
        return settings

    def language_model(self, given: Mapping[str, Any] | None = None) -> LanguageModelSettings | None:
        """The language model that the embedded Lume asks while it makes a flow; None if no address is configured.

        Args:
            given: Settings that go before those of the environment; one that is None does not count.

        Raises:
            LumeError: The embedded Lume's dependencies are not installed, or a setting is not usable.
        """
        model: type[LanguageModelSettings] = _service().LanguageModelSettings
        told = {
            name: os.environ.get(f"{_LANGUAGE_MODEL}{name.upper()}") or None for name in model.model_fields
        }
        told |= {name: value for name, value in (given or {}).items() if value is not None}
        if told["base_url"] is None:
            return None
        try:
            return model.model_validate({name: value for name, value in told.items() if value is not None})
        except ValidationError as error:
            faults = error.errors(include_url=False, include_context=False, include_input=False)
            named = (f"{_LANGUAGE_MODEL}{str(fault['loc'][0]).upper()}: {fault['msg']}" for fault in faults)
            raise LumeError(f"the language model cannot be asked: {'; '.join(named)}") from None

    def _embedded(self) -> EmbeddedTransport | None:
        if not self.is_embedded:
            return None
        transport: EmbeddedTransport = _service().open_embedded(self.embedded_settings())
        return transport


def _service() -> ModuleType:
    try:
        return import_module("lume_dagster.service")
    except ImportError as error:
        raise LumeError(
            f"the embedded Lume needs the package {error.name!r}: install 'lume-dagster[embedded]', "
            "or set base_url (LUME_BASE_URL) to use a hosted Lume"
        ) from error
