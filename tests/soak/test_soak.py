"""Batches through real Dagster runs and single-run backfills under random faults, against two Lumes.

A short form belongs to the suite. `make soak` takes LUME_TESTS_SOAK batches, 1,000 by default. The faults are drawn
from LUME_TESTS_SEED, which is printed.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from lume_dagster.client import LumeClient
from lume_dagster.connect import LumeConnection
from tests.soak.proof import Proof, prove
from tests.soak.proxy import FaultyProxy
from tests.soak.tasks import Lane, Task, drawn_kinds
from tests.soak.worker import BATCHES, FOLDER, partition_keys

SOAK = int(os.environ.get("LUME_TESTS_SOAK", "0"))
SEED = int(os.environ.get("LUME_TESTS_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
# One in ten batches has a Dagster run of its own, the others are in ranges.
ALONE, RANGED = (SOAK // 20, SOAK // 2 - SOAK // 20) if SOAK else (2, 10)
RANGE = 25 if SOAK else 10
AT_ONCE = 3
SERVER_DIES_EVERY = 45.0 if SOAK else 12.0


class Server:
    """`lume-dagster serve` in a process of its own, which is killed and started again."""

    def __init__(self, home: Path, flows: Path, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.deaths = 0
        self._environment = {**os.environ, "LUME_HOME": str(home), "LUME_FLOWS": str(flows)}
        self._log = log
        self._process = self._start()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self.deaths += 1
        time.sleep(0.5)
        self._process = self._start()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(30)

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "lume_dagster.cli", "serve", "--port", str(self.port)]
        with self._log.open("ab") as log:
            process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return process
            time.sleep(0.1)
        raise AssertionError(f"the Lume did not start: {self._log.read_text()[-2000:]}")


@contextmanager
def every(seconds: float, action: Callable[[], None]) -> Iterator[None]:
    """Does something at intervals, meanwhile."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(seconds):
            action()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def make_lane(folder: Path, name: str, backfill: str, count: int, environment: dict[str, str]) -> Lane:
    batches = folder / f"{name}-batches"
    batches.mkdir()
    kinds = drawn_kinds(partition_keys(count), SEED)
    for key, kind in kinds.items():
        (batches / f"{key}.csv").write_text(kind.text())
    storage = folder / f"{name}-dagster"
    storage.mkdir()
    with dg.DagsterInstance.local_temp(str(storage)) as made:  # its tables, before anyone is killed
        made.get_runs(limit=1)
    here = {FOLDER: str(batches), BATCHES: str(count), "LUME_API_KEY": "", **environment}
    return Lane(name, storage, here, backfill, kinds)


def table(lanes: list[Lane], proofs: list[Proof], others: dict[str, object]) -> str:
    lines = [f"{'':28}" + "".join(f"{lane.name:>18}" for lane in lanes)]

    def row(title: str, values: list[object]) -> None:
        lines.append(f"{title:28}" + "".join(f"{value!s:>18}" for value in values))

    row("batches", [len(lane.kinds) for lane in lanes])
    row("Dagster runs", [proof.dagster_runs.total() for proof in proofs])
    for name in sorted({name for proof in proofs for name in proof.dagster_runs}):
        row(f"  {name}", [proof.dagster_runs[name] for proof in proofs])
    row("Lume runs", [proof.lume_runs.total() for proof in proofs])
    for name in sorted({name for proof in proofs for name in proof.lume_runs}):
        row(f"  {name}", [proof.lume_runs[name] for proof in proofs])
    for name in sorted({name for lane in lanes for name in lane.disturbed}):
        row(name, [lane.disturbed[name] for lane in lanes])
    row("reruns forced", [lane.forces.total() for lane in lanes])
    row("launches that hung", [len(lane.stuck) for lane in lanes])
    row("without a verdict", [len(lane.unsettled) for lane in lanes])
    for title in proofs[0].faults:
        row(title, [len(proof.faults[title]) for proof in proofs])
    lines += [f"{title}: {value}" for title, value in others.items()]
    return "\n".join(lines)


def in_turn(lanes: list[Lane]) -> list[Task]:
    tasks = [
        task for lane in lanes for task in lane.tasks(1 if lane.backfill == "multi_run" else RANGE, SEED)
    ]
    random.Random(SEED).shuffle(tasks)
    return tasks


@pytest.mark.timeout(4 * 3600 if SOAK else 240)
def test_nothing_is_lost_or_done_twice(tmp_path: Path, flows: Path) -> None:
    print(f"LUME_TESTS_SEED={SEED} LUME_TESTS_SOAK={SOAK}", flush=True)
    homes = {name: tmp_path / f"{name}-home" for name in ("embedded", "http")}
    server = Server(homes["http"], flows, tmp_path / "serve.log")
    begun = time.monotonic()
    with FaultyProxy(server.port, SEED) as proxy:
        here = {"LUME_HOME": str(homes["embedded"]), "LUME_FLOWS": str(flows), "LUME_BASE_URL": ""}
        there = {"LUME_BASE_URL": proxy.url}
        lanes = [
            make_lane(tmp_path, "embedded-alone", "multi_run", ALONE, here),
            make_lane(tmp_path, "embedded-range", "single_run", RANGED, here),
            make_lane(tmp_path, "http-alone", "multi_run", ALONE, there),
            make_lane(tmp_path, "http-range", "single_run", RANGED, there),
        ]
        with every(SERVER_DIES_EVERY, server.kill), ThreadPoolExecutor(AT_ONCE) as pool:
            for carried in [pool.submit(task.carry_out) for task in in_turn(lanes)]:
                carried.result()
        seconds = time.monotonic() - begun
        with (
            LumeConnection(home=str(homes["embedded"]), flows=str(flows)).open() as embedded,
            LumeClient(f"http://127.0.0.1:{server.port}") as served,
        ):
            proofs = [
                prove(
                    lane, embedded if lane.name.startswith("embedded") else served, lane.environment[FOLDER]
                )
                for lane in lanes
            ]
    server.stop()
    others: dict[str, object] = {
        "faults of the network": ", ".join(f"{n} {name}" for name, n in Counter(proxy.faults).most_common()),
        "deaths of the served Lume": server.deaths,
        "seconds": round(seconds),
        "seed": SEED,
    }
    shown = table(lanes, proofs, others)
    print("\n" + shown, flush=True)
    wrong = [
        f"{lane.name}: {title}: {fault}"
        for lane, proof in zip(lanes, proofs, strict=True)
        for title, faults in {**proof.faults, "without a verdict": lane.unsettled, "hung": lane.stuck}.items()
        for fault in faults
    ]
    assert wrong == [], "\n".join([shown, *wrong])
