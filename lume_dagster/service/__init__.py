"""The embedded Lume: flow versions from files, runs in a store, results as Parquet, one HTTP interface.

`open_embedded` opens it as an httpx transport, without a server process and without a port; `create_app`
gives the same interface as an ASGI application, which `lume-dagster serve` puts behind uvicorn.
"""

from lume_dagster.service.app import create_app
from lume_dagster.service.embedded import EmbeddedTransport, open_embedded
from lume_dagster.service.settings import LanguageModelSettings, ServiceSettings

__all__ = ["EmbeddedTransport", "LanguageModelSettings", "ServiceSettings", "create_app", "open_embedded"]
