from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lume_dagster.client import AsyncLumeClient, AuthenticationError, InvalidRequestError, LumeClient
from lume_dagster.service.settings import ServiceSettings

MAX_UPLOAD = 3 << 20


@pytest.fixture
def server(settings: ServiceSettings) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`lume-dagster serve` in a process of its own, and its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lume_dagster.cli", "serve", "--port", "0", "--max-upload", "3MiB"],
        env={
            **os.environ,
            "LUME_HOME": str(settings.home),
            "LUME_FLOWS": str(settings.flows),
            "LUME_API_KEY": "hunter2",
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            yield process, found.group()
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)


def test_a_served_lume_is_spoken_to_like_any_other(
    server: tuple[subprocess.Popen[str], str], people: Path
) -> None:
    _, url = server
    with LumeClient(url, "hunter2") as client:
        run = client.wait(client.run("people:v1", str(people)))
        assert run.partial_failed
        assert len(list(client.iter_results(run, "rejects"))) == 2


def test_files_and_records_are_handed_over_to_a_served_lume(
    server: tuple[subprocess.Popen[str], str], people: Path, tmp_path: Path, settings: ServiceSettings
) -> None:
    _, url = server
    with LumeClient(url, "hunter2") as client:
        source_path = client.upload_file(people)
        assert client.run("people:v1", source_path).wait().partial_failed
        assert client.flow("people").process([{"ID": 1, "Full Name": "Ada", "Mail": None}]).run.succeeded
        huge = tmp_path / "huge.csv"
        with huge.open("wb") as file:
            file.truncate(MAX_UPLOAD + 1)
        with pytest.raises(InvalidRequestError, match=f"at most {MAX_UPLOAD} bytes"):
            client.upload_file(huge)

    async def hand_over() -> str:
        async with AsyncLumeClient(url, "hunter2") as client:
            with pytest.raises(InvalidRequestError, match=f"at most {MAX_UPLOAD} bytes"):
                await client.upload_file(huge)
            return await client.upload_file(people)

    assert asyncio.run(hand_over()) == source_path
    assert list((settings.home / "incoming").iterdir()) == []


def test_a_served_lume_asks_for_its_key(server: tuple[subprocess.Popen[str], str]) -> None:
    _, url = server
    with LumeClient(url) as client, pytest.raises(AuthenticationError):
        client.flows()


def test_a_lume_without_key_is_not_served_to_other_machines(settings: ServiceSettings) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "lume_dagster.cli", "serve", "--host", "0.0.0.0", "--port", "0"],
        env={name: value for name, value in os.environ.items() if name != "LUME_API_KEY"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 1
    assert "LUME_API_KEY" in refused.stderr
    assert "Traceback" not in refused.stderr
