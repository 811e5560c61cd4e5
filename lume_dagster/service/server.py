"""The embedded Lume behind a port."""

from __future__ import annotations

import ipaddress
import os

import uvicorn
from starlette.middleware.trustedhost import TrustedHostMiddleware

from lume_dagster.service.app import create_app
from lume_dagster.service.runs import LumeService
from lume_dagster.service.settings import ServiceSettings


def serve(settings: ServiceSettings, *, host: str, port: int) -> None:
    """Serves until it is stopped; runs under way are then cancelled.

    Requests have to carry the key in `LUME_API_KEY`, if it is set.

    Args:
        settings: Where the Lume keeps its data, and how much of the machine it may use.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.

    Raises:
        ValueError: The address can be reached from other machines, and no key is set.
    """
    api_key = os.environ.get("LUME_API_KEY") or None
    if api_key is None and not _is_loopback(host):
        raise ValueError(
            f"whoever reaches {host} could have any file of this machine mapped; "
            "set LUME_API_KEY, or listen on 127.0.0.1"
        )
    service = LumeService(settings)
    try:
        app = create_app(service, api_key)
        if api_key is None:
            # Else a web page could speak to it through a name of its own that leads here.
            app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", host])
        uvicorn.run(app, host=host, port=port, log_level="info")
    finally:
        service.close()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
