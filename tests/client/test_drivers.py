from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from typing import Any

import httpx
import pytest

from lume_dagster.client import ApiError, ClientSettings, LumeUnavailableError
from lume_dagster.client.drivers import AsyncDriver, SyncDriver, certificates, from_httpx
from lume_dagster.client.effects import Call, Together, TransportFailure
from lume_dagster.testing import Fault, ScriptedLume


@pytest.mark.parametrize(
    "fault",
    [
        Fault.reset(),
        Fault.lost_answer(),
        Fault.half_body(),
        Fault.status(500),
        Fault.status(503, b"<html>busy</html>", {"content-type": "text/html"}),
        Fault.status(429, headers={"retry-after": "3"}),
    ],
)
def test_a_get_survives(client: Any, lume: ScriptedLume, clock: Any, fault: Fault) -> None:
    run_id = lume.add_run()
    lume.inject(fault, times=2)
    assert client.run_status(run_id).id == run_id
    assert len(lume.requests) == 3
    assert len(clock.sleeps) == 2


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 422])
def test_a_refusal_is_final(client: Any, lume: ScriptedLume, code: int) -> None:
    lume.inject(Fault.status(code), times=9)
    for call in (
        lambda: client.run_status("run_1"),
        lambda: client.run("f:v1", "s"),
        lambda: client.cancel("r"),
    ):
        before = len(lume.requests)
        with pytest.raises(ApiError):
            call()
        assert len(lume.requests) == before + 1


def test_authorities_are_loaded_only_where_a_certificate_may_be_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert certificates("https://lume.test") is True
    assert certificates("HTTPS://lume.test") is True
    nobody = certificates("http://lume.test")
    assert isinstance(nobody, ssl.SSLContext)
    assert (nobody.verify_mode, nobody.get_ca_certs()) == (ssl.CERT_REQUIRED, [])
    monkeypatch.setenv("http_proxy", "https://proxy.test")
    assert certificates("http://lume.test") is True


def test_a_server_that_is_not_there(connect: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(LumeUnavailableError, match="ConnectError") as error:
        connect(url, outage_budget_seconds=3).run_status("run_1")
    assert error.value.status_code is None


def test_a_server_that_keeps_silent(connect: Any, lume: ScriptedLume) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        client = connect(
            f"http://127.0.0.1:{mute.getsockname()[1]}", request_timeout=0.05, outage_budget_seconds=0
        )
        with pytest.raises(LumeUnavailableError, match="ReadTimeout"):
            client.run_status("run_1")


@pytest.mark.parametrize(
    "raw",
    [b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc", b""],
)
def test_a_server_that_speaks_no_http(connect: Any, raw: bytes) -> None:
    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            connection.recv(65_536)
            connection.sendall(raw)
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        client = connect(f"http://127.0.0.1:{listener.getsockname()[1]}", outage_budget_seconds=0)
        with pytest.raises(LumeUnavailableError, match=r"(RemoteProtocol|Decoding|Read)Error"):
            client.run_status("run_1")
        thread.join(2)


def test_a_key_goes_with_every_request_and_to_no_other_host(
    connect: Any, lume: ScriptedLume, clock: Any
) -> None:
    with ScriptedLume() as elsewhere:
        lume.inject(Fault.status(307, headers={"location": f"{elsewhere.url}/v1/runs/run_1"}))
        client = connect(lume.url, "s3cret")
        with pytest.raises(ApiError, match=f"redirect to {elsewhere.url}/v1/runs/run_1"):
            client.run_status("run_1")
        assert elsewhere.requests == []
    assert lume.requests[0].headers["lume-api-key"] == "s3cret"
    assert lume.requests[0].headers["user-agent"].startswith("lume-dagster/")


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (httpx.ConnectTimeout(""), True),
        (httpx.ReadError("reset"), True),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), False),
        (httpx.LocalProtocolError("illegal header"), False),
        (httpx.UnsupportedProtocol("ftp"), False),
    ],
)
def test_only_what_may_pass_is_passing(error: httpx.RequestError, passing: bool) -> None:
    failure = from_httpx(error)
    assert isinstance(failure, TransportFailure)
    assert failure.passing is passing
    assert failure.reason.startswith(type(error).__name__)


def numbered(count: int, seen: list[int], fails_at: int | None = None) -> Any:
    """An operation of calls side by side; `seen` takes how many were under way at one time."""
    under_way = 0
    lock = threading.Lock()

    def work(number: int) -> int:
        nonlocal under_way
        with lock:
            under_way += 1
            seen.append(under_way)
        time.sleep(0.01)
        with lock:
            under_way -= 1
        if number == fails_at:
            raise ApiError(f"number {number}")
        return number

    def one(number: int) -> Any:
        return (yield Call(lambda: work(number)))

    return (yield Together(tuple(one(number) for number in range(count)), at_once=3))


def sync_run(operation: Any) -> Any:
    return SyncDriver("http://lume.test", None, ClientSettings(), None).run(operation)


def async_run(operation: Any) -> Any:
    return asyncio.run(AsyncDriver("http://lume.test", None, ClientSettings(), None).run(operation))


@pytest.mark.parametrize("run", [sync_run, async_run])
def test_operations_side_by_side_keep_their_order_and_their_limit(run: Any) -> None:
    seen: list[int] = []
    assert run(numbered(10, seen)) == tuple(range(10))
    assert max(seen) in (2, 3)


@pytest.mark.parametrize("run", [sync_run, async_run])
def test_the_first_failure_ends_the_others(run: Any) -> None:
    seen: list[int] = []
    with pytest.raises(ApiError, match="number 1"):
        run(numbered(1_000, seen, fails_at=1))
    assert len(seen) < 100
