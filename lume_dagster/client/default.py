"""One client for a whole program, behind functions: ``import lume_dagster.client as lume; lume.run(...)``."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any

from lume_dagster.client.client import LumeClient
from lume_dagster.client.errors import LumeError
from lume_dagster.client.handles import FlowHandle, RunHandle
from lume_dagster.client.models import LumeRun
from lume_dagster.client.settings import ClientSettings

_lock = threading.Lock()
_client: LumeClient | None = None


def init(
    api_key: str | None = None,
    request_timeout: float = ClientSettings.request_timeout,
    *,
    base_url: str | None = None,
    client: LumeClient | None = None,
) -> None:
    """Say which Lume :func:`run`, :func:`run_status` and :func:`flow` speak to. Without a call, the environment does.

    Args:
        api_key: API key; ``LUME_API_KEY`` if not given.
        request_timeout: Seconds that one request may take.
        base_url: Address of the Lume; ``LUME_BASE_URL`` if not given.
        client: A client that is there already, such as ``LumeConnection().open()`` for the embedded Lume. The other
            arguments then have no meaning.

    Raises:
        LumeError: There is no address.
        ValueError: Address or key is not usable.
    """
    global _client  # noqa: PLW0603 - the one client of the program
    opened = client or _open(api_key, request_timeout, base_url)
    with _lock:
        _client = opened


def run(
    flow_version: str,
    source_path: str,
    run_metadata: Mapping[str, Any] | None = None,
    force_rerun: bool = False,
) -> RunHandle:
    """Create a run and return at once; see :meth:`LumeClient.run`.

    Raises:
        LumeError: There is no Lume to speak to, or it refuses.
    """
    return _the_client().run(flow_version, source_path, run_metadata, force_rerun)


def run_status(run: LumeRun | str) -> RunHandle:
    """Ask how a run is; see :meth:`LumeClient.run_status`.

    Raises:
        LumeError: There is no Lume to speak to, or it does not know the run.
    """
    return _the_client().run_status(run)


def flow(name: str) -> FlowHandle:
    """Get a handle of a flow; see :meth:`LumeClient.flow`.

    Raises:
        LumeError: There is no Lume to speak to, or it does not know the flow.
    """
    return _the_client().flow(name)


def _open(api_key: str | None, request_timeout: float, base_url: str | None) -> LumeClient:
    address = base_url or os.environ.get("LUME_BASE_URL")
    if not address:
        raise LumeError(
            "there is no Lume to speak to: set LUME_BASE_URL or pass base_url to lume_dagster.client.init, or pass "
            "client=lume_dagster.connect.LumeConnection().open() for the embedded Lume"
        )
    return LumeClient(
        address,
        api_key or os.environ.get("LUME_API_KEY"),
        settings=ClientSettings(request_timeout=request_timeout),
    )


def _the_client() -> LumeClient:
    global _client  # noqa: PLW0603 - the one client of the program
    with _lock:
        if _client is None:
            _client = _open(None, ClientSettings.request_timeout, None)
        return _client
