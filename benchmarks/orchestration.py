"""What it costs to drive Lume from Dagster, as ratios against Dagster doing nothing and against a fixed wait loop.

    python -m benchmarks.orchestration --quick
    python -m benchmarks.orchestration --repeats 5 --check

Each job runs in a process of its own, job after job and round after round, so that a busy moment of the machine
meets all of them; medians are compared: of the wall, and beside it the CPU time and the peak memory of the job's
process and its children, imports included. The simulated service is `lume_dagster.testing.ScriptedLume` in another
process, over loopback. Dagster's instance keeps its SQLite files in the folder for temporary files; where waits are
compared, it keeps them in memory, for ours and the peer alike, so that the disk is not what is measured.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import math
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FLOW = "people:v1"
HEADER = "ID,Full Name,Mail\n"
QUICK_SLACK = 1.1  # what few rounds cannot tell
BACKOFF_SECONDS = (60, 600, 3600, 36000)


# In the process of a job


def _definitions(partitions: int, **options: Any) -> Any:
    import dagster as dg

    from lume_dagster import build_lume_assets

    return build_lume_assets(
        flow_version=FLOW,
        partitions_def=dg.StaticPartitionsDefinition(_keys(partitions)),
        source_path=f"{os.environ.get('BATCHES', 'ours')}/{{partition_key}}.csv",
        **options,
    )


def _keys(count: int) -> list[str]:
    return [f"{number:05}" for number in range(count)]


def _range(definitions: Any, resources: dict[str, Any], count: int, *, on_disk: bool) -> dict[str, float]:
    """Seconds of one Dagster run of a whole range in this process, and of its step alone.

    Before the step begins, Dagster plans: it writes an event for each asset and partition.
    """
    import dagster as dg

    resources = {**resources, "lume_io_manager": dg.FilesystemIOManager()}
    defs = dg.Definitions.merge(definitions, dg.Definitions(resources=resources))
    job = defs.resolve_implicit_global_asset_job_def()
    keys = _keys(count)
    tags = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
    with dg.DagsterInstance.get() if on_disk else dg.DagsterInstance.ephemeral() as instance:
        dg.materialize([_nothing()], instance=instance)  # a first run makes the tables
        start = time.perf_counter()
        done = job.execute_in_process(instance=instance, tags=tags)
        seconds = time.perf_counter() - start
        (step,) = instance.get_run_step_stats(done.run_id)
    if not done.success:
        raise SystemExit("the range did not succeed")
    return {"wall": seconds, "step": step.end_time - step.start_time}


def _nothing() -> Any:
    import dagster as dg

    @dg.asset
    def nothing() -> None: ...

    return nothing


class _Peak:
    """The most threads and sockets that this process has had."""

    def __init__(self) -> None:
        self.threads = self.sockets = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            self.threads = max(self.threads, threading.active_count() - 1)
            self.sockets = max(self.sockets, sum(map(_is_socket, _PROC.iterdir())))
            time.sleep(0.25)


_PROC = Path("/proc/self/fd")


def _is_socket(descriptor: Path) -> bool:
    try:
        return str(descriptor.readlink()).startswith("socket:")
    except OSError:
        return False  # closed meanwhile


def _simulated(url: str, count: int, at_once: int) -> dict[str, float]:
    from lume_dagster import LumeResource

    peak = _Peak()
    lume = LumeResource(base_url=url, max_concurrent_runs=at_once)
    found = _range(_definitions(count, backfill="single_run"), {"lume": lume}, count, on_disk=False)
    return {**found, "threads": peak.threads, "sockets": peak.sockets}


def _fixed(url: str, count: int, at_once: int) -> dict[str, float]:
    import bare
    import dagster as dg

    step = bare.one_step("people", dg.StaticPartitionsDefinition(_keys(count)), url, at_once)
    return _range(dg.Definitions(assets=[step]), {}, count, on_disk=False)


def _embedded(folder: str, count: int) -> dict[str, float]:
    from lume_dagster import LumeResource

    os.environ["BATCHES"] = folder
    lume = LumeResource(home=os.environ["DAGSTER_HOME"] + "/lume", flows=f"{folder}/flows")
    return _range(_definitions(count, backfill="single_run"), {"lume": lume}, count, on_disk=True)


def _bare(count: int) -> dict[str, float]:
    import bare
    import dagster as dg

    step = bare.one_step("people", dg.StaticPartitionsDefinition(_keys(count)), None, 1)
    return _range(dg.Definitions(assets=[step]), {}, count, on_disk=True)


def our_job() -> Any:
    """One batch a run, over the simulated service; executed by processes, so that these import it."""
    import dagster as dg

    from lume_dagster import LumeResource

    lume = LumeResource(base_url=os.environ["SIMULATED"])
    resources = dg.Definitions(resources={"lume": lume, "lume_io_manager": dg.FilesystemIOManager()})
    return _job(dg.Definitions.merge(_definitions(1000), resources))


def bare_job() -> Any:
    """Two steps that do nothing; executed by processes, so that these import it."""
    import bare
    import dagster as dg

    steps = bare.two_steps("people", dg.StaticPartitionsDefinition(_keys(1000)))
    return _job(dg.Definitions(assets=steps))


def _job(definitions: Any) -> Any:
    import dagster as dg

    jobs = dg.Definitions(jobs=[dg.define_asset_job("batch")])
    return dg.Definitions.merge(definitions, jobs).resolve_job_def("batch")


def _prepare() -> dict[str, float]:
    """Makes the tables of an instance, as its first run does."""
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        dg.materialize([_nothing()], instance=instance)
    return {}


def _one_batch(job: str, partition: str) -> dict[str, float]:
    import dagster as dg
    import orchestration

    with dg.DagsterInstance.get() as instance:
        start = time.perf_counter()
        with dg.execute_job(
            dg.reconstructable(getattr(orchestration, job)), instance, tags={"dagster/partition": partition}
        ) as done:
            if not done.success:
                raise SystemExit("the batch did not succeed")
        return {"wall": time.perf_counter() - start}


def _noticed(url: str, seconds: float, count: int) -> dict[str, Any]:
    """How long after its end a run is noticed by a step that waits for one, and by how many requests."""
    from lume_dagster.client import LumeClient

    late: list[float] = []

    def one(number: int) -> None:
        with LumeClient(url) as client:
            run = client.run(FLOW, f"noticed/{time.monotonic_ns()}/{number}")
            created = time.perf_counter()
            client.wait(run, on_status=lambda _: None)
            late.append(time.perf_counter() - created - seconds)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    return {"p95": _p95(late)}


def _backoff(waits: int) -> dict[str, Any]:
    """Waits without long poll, on a clock of their own: seconds to notice, requests, and the shortest pause."""
    from lume_dagster.client import ClientSettings, LumeClient, Timekeeper
    from lume_dagster.testing import RunScript, ScriptedLume, Stage

    found: dict[str, Any] = {}
    for length in BACKOFF_SECONDS:
        chance, late, asked, pauses = random.Random(length), [], [], []
        for _ in range(waits):
            clock = [0.0]

            def sleep(seconds: float, clock: list[float] = clock) -> None:
                clock[0] += seconds

            time_of = Timekeeper(monotonic=lambda c=clock: c[0], uniform=chance.random, sleep=sleep)
            script = RunScript([Stage("TRANSFORMING", seconds=length), "SUCCEEDED"])
            with (
                ScriptedLume(script, long_poll=False, monotonic=lambda c=clock: c[0]) as lume,
                LumeClient(lume.url, settings=ClientSettings(timekeeper=time_of)) as client,
            ):
                client.wait(client.run(FLOW, "x"), timeout=2 * length)
                times = [request.at for request in lume.asked("GET")]
            late.append(clock[0] - length)
            asked.append(len(times))
            pauses += [after - before for before, after in itertools.pairwise(times)]
        found[str(length)] = {"p95": _p95(late), "requests": max(asked), "pause": round(min(pauses), 6)}
    return found


def _p95(values: list[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def _load_ours(flows: int) -> dict[str, float]:
    import dagster as dg

    from lume_dagster import build_lume_assets

    start = time.perf_counter()
    days = _days()
    definitions = dg.Definitions.merge(
        *(
            build_lume_assets(flow_version=f"flow_{n}:v1", partitions_def=days, source_path="{partition_key}")
            for n in range(flows)
        ),
        dg.Definitions(resources={"lume": None, "lume_io_manager": dg.FilesystemIOManager()}),
    )
    definitions.get_repository_def().load_all_definitions()
    return {"wall": time.perf_counter() - start}


def _load_bare(flows: int) -> dict[str, float]:
    import bare
    import dagster as dg

    start = time.perf_counter()
    dg.Definitions(assets=bare.as_many(3 * flows, _days())).get_repository_def().load_all_definitions()
    return {"wall": time.perf_counter() - start}


def _days() -> Any:
    import dagster as dg

    return dg.DailyPartitionsDefinition(start_date="2013-01-01", end_date="2022-12-30")  # 3,650 days


def _import(statement: str) -> dict[str, float]:
    gc.disable()  # a full collection comes after so many objects, whichever import makes the last of them
    start = time.perf_counter()
    exec(statement, {})
    return {"wall": time.perf_counter() - start}


def _serve(seconds: str) -> None:
    """The simulated service: says its address, and at the end how often it was asked about each run."""
    from lume_dagster.testing import RunScript, ScriptedLume, Stage

    stages = [Stage("TRANSFORMING", seconds=float(seconds)), "SUCCEEDED"] if float(seconds) else ["SUCCEEDED"]
    flow = {
        "name": "people",
        "version": "v1",
        "flow_version": FLOW,
        "target_schema": {"properties": {"id": {}}},
    }
    told = {"rows": {"source": 2, "mapped": 2, "rejected": 0}}
    with ScriptedLume(RunScript(stages, told, mapped=[{"id": 1}, {"id": 2}]), flows=[flow]) as lume:
        print(lume.url, flush=True)
        sys.stdin.read()
        asked: dict[str, int] = {}
        for request in lume.asked("GET", "/v1/runs/"):
            if not request.path.endswith("/results"):
                asked[request.path] = asked.get(request.path, 0) + 1
        print(json.dumps({"requests": max(asked.values(), default=0)}), flush=True)


JOBS: dict[str, Callable[..., Any]] = {
    "simulated": _simulated,
    "fixed": _fixed,
    "embedded": _embedded,
    "bare": _bare,
    "one batch": _one_batch,
    "prepare": _prepare,
    "noticed": _noticed,
    "backoff": _backoff,
    "load ours": _load_ours,
    "load bare": _load_bare,
    "import": _import,
    "serve": _serve,
}


def _spent() -> dict[str, float]:
    """CPU seconds and peak memory in MB of this process and its children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "cpu": sum(one.ru_utime + one.ru_stime for one in used),
        "memory": max(one.ru_maxrss for one in used) / 1024,
    }


# In the process that compares


class Bench:
    """Runs jobs, each in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._homes = itertools.count(1)
        path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
        self._environment = {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}

    def home(self) -> str:
        """A new folder for a Dagster instance."""
        home = self.folder / f"dagster-{next(self._homes)}"
        home.mkdir()
        (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        return str(home)

    def run(self, job: str, *arguments: Any, **environment: str) -> Any:
        """What a job answers."""
        done = subprocess.run(
            self._command(job, *arguments),
            capture_output=True,
            text=True,
            check=False,
            env={
                **self._environment,
                "DAGSTER_HOME": environment.pop("home", None) or self.home(),
                **environment,
            },
        )
        if done.returncode:
            raise SystemExit(f"{job} failed:\n{done.stderr[-4000:]}")
        return json.loads(done.stdout.splitlines()[-1])

    @contextmanager
    def service(self, seconds: float) -> Iterator[tuple[str, dict[str, int]]]:
        """The simulated service, whose runs last some seconds; what it was asked is known at the end."""
        asked: dict[str, int] = {}
        with subprocess.Popen(
            self._command("serve", seconds),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self._environment,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                yield process.stdout.readline().strip(), asked
            finally:
                process.stdin.close()
                asked.update(json.loads(process.stdout.readline()))

    def _command(self, job: str, *arguments: Any) -> list[str]:
        return [sys.executable, __file__, "--job", job, json.dumps(arguments)]


def _write_batches(folder: Path, count: int, rows: int) -> None:
    (folder / "flows" / "people").mkdir(parents=True)
    (folder / "flows" / "people" / "v1.yaml").write_text(
        "source: {format: csv}\n"
        "target_schema:\n"
        "  properties:\n"
        "    id: {type: integer, isPrimaryKey: true}\n"
        "    name: {type: string}\n"
        "    mail: {type: [string, 'null']}\n"
        "mapper: {id: {extract: ID}, name: {extract: Full Name}, mail: {extract: Mail}}\n"
    )
    text = HEADER + "".join(f"{number},Person {number},p{number}@example.com\n" for number in range(rows))
    for key in _keys(count):
        (folder / f"{key}.csv").write_text(text)


class Medians:
    """Medians of what the rounds found: of the wall, or of what else is named beside the job."""

    def __init__(self, rounds: int) -> None:
        self.rounds = range(rounds)
        self._found: dict[str, list[dict[str, float]]] = {}

    def add(self, name: str, found: dict[str, float]) -> None:
        """Takes what one round found."""
        self._found.setdefault(name, []).append(found)

    def __getitem__(self, name: str | tuple[str, str]) -> float:
        job, what = (name, "wall") if isinstance(name, str) else name
        return statistics.median(found[what] for found in self._found[job])

    def ratio(self, name: str, other: str) -> float:
        """The median wall of one job over that of another; both are printed, with CPU time and memory."""
        print("; ".join(f"{job}: {self.told(job)}" for job in (name, other)))
        return self[name] / self[other]

    def told(self, name: str) -> str:
        """What a job took, in words."""
        return f"{self[name]:.2f} s, CPU {self[name, 'cpu']:.2f} s, {self[name, 'memory']:.0f} MB"


# Its name, its value, its bound, and whether it has to reach the bound rather than stay below it.
Figure = tuple[str, float, float, bool]


def many_waits(bench: Bench, wall: Medians, quick: bool) -> Iterator[Figure]:
    """Many simulated runs in one step."""
    count, at_once, seconds = (40, 20, 2.0) if quick else (1000, 100, 5.0)
    ideal = count / at_once * seconds
    with bench.service(seconds) as (url, asked):
        for number in wall.rounds:
            peak = bench.run("simulated", url, count, at_once, BATCHES=f"ours-{number}")
            wall.add("simulated", peak)
        if not quick:
            peak = bench.run("simulated", url, count, count, BATCHES="peak")
    step, run = wall["simulated", "step"], wall["simulated"]
    print(f"{count} runs of {seconds:g} s, {at_once} at once: ideal {ideal:g} s, the step {step:.1f} s")
    print(
        f"the Dagster run around it, with the events that Dagster plans it by: {run:.1f} s, {run / ideal:.2f}"
    )
    print(f"the process: {wall.told('simulated')}")
    waits = at_once if quick else count
    print(f"{waits} waits at once: {peak['threads']:.0f} threads, {peak['sockets']:.0f} sockets")
    yield "simulated runs in one step, wall over the ideal", step / ideal, 1.15, False
    yield "threads while all are waited for at once", peak["threads"], 20, False
    yield "status requests a run, long poll, in a range", asked["requests"], 3, False


def noticing(bench: Bench, wall: Medians, quick: bool) -> Iterator[Figure]:  # noqa: ARG001 - as the others
    """How soon the end of a run is noticed."""
    with bench.service(2.0) as (url, asked):
        noticed = bench.run("noticed", url, 2.0, 10 if quick else 50)
    yield "status requests a run, long poll, one batch", asked["requests"], 3, False
    yield "noticed within, long poll, p95, s", noticed["p95"], 0.1, False
    backoff = bench.run("backoff", 10 if quick else 40)
    for length in BACKOFF_SECONDS:
        found = backoff[str(length)]
        late = f"{found['p95']:.1f} s late"
        print(f"a run of {length} s without long poll: at most {found['requests']} requests, {late}")
    long = backoff["600"]
    yield "noticed within, backoff, 10 min, p95, share of the run", long["p95"] / 600, 0.1, False
    yield (
        "status requests, backoff, 10 min, over log2 of its seconds",
        long["requests"] / math.log2(600),
        4,
        False,
    )
    longer = backoff["36000"]["requests"] - backoff["3600"]["requests"]
    yield "status requests, backoff, 10 h less 1 h, for each doubling", longer / math.log2(10), 20, False
    shortest = min(backoff[str(length)]["pause"] for length in BACKOFF_SECONDS)
    yield "shortest pause of the backoff, s", shortest, 1, True


def one_batch(bench: Bench, wall: Medians, quick: bool) -> Iterator[Figure]:
    """One batch, one Dagster run, executed by processes."""
    home = bench.home()
    bench.run("prepare", home=home)
    with bench.service(0.0) as (url, _):
        for number in range(3) if quick else wall.rounds:
            for job in ("our_job", "bare_job"):
                wall.add(job, bench.run("one batch", job, _keys(1000)[number], home=home, SIMULATED=url))
    yield "one batch, one Dagster run, wall over a bare one", wall.ratio("our_job", "bare_job"), 1.15, False


def embedded_backfill(bench: Bench, wall: Medians, quick: bool) -> Iterator[Figure]:
    """A range of real batches, mapped by the embedded Lume."""
    if quick:  # a few batches do not outweigh the start of the embedded Lume
        return
    count = 200
    folder = bench.folder / "batches"
    _write_batches(folder, count, 1000)
    for _ in wall.rounds:
        wall.add("embedded", bench.run("embedded", str(folder), count))
        wall.add("bare", bench.run("bare", count))
    wall.ratio("embedded", "bare")
    beyond = (wall["embedded"] - wall["bare"]) / count * 1000
    yield "embedded single-run backfill, beyond bare, ms a batch", beyond, 100, False


def fixed_pauses(bench: Bench, wall: Medians, quick: bool) -> Iterator[Figure]:
    """Against a wait loop with a fixed pause."""
    count, at_once = (10, 10) if quick else (200, 50)

    def one(job: str) -> None:
        with bench.service(5.0) as (url, _):
            wall.add(f"{job}, 5 s runs", bench.run(job, url, count, at_once))

    for _ in wall.rounds:
        # Few batches are hardly any work: the waits of the quick form may pass at the same time.
        with ThreadPoolExecutor(2 if quick else 1) as threads:
            list(threads.map(one, ("fixed", "simulated")))
    ratio = wall.ratio("fixed, 5 s runs", "simulated, 5 s runs")
    yield "fixed 10 s wait loop, wall over ours", ratio, 1.8, True


def loading(bench: Bench, wall: Medians, quick: bool) -> Iterator[Figure]:
    """Definitions of many flows."""
    for _ in wall.rounds:
        for job in ("load ours", "load bare"):
            wall.add(job, bench.run(job, 50 if quick else 500))
    yield (
        "definitions of many flows, load time over bare assets",
        wall.ratio("load ours", "load bare"),
        1.5,
        False,
    )


def importing(bench: Bench, wall: Medians, quick: bool) -> Iterator[Figure]:
    """What an import costs."""
    names = "from lume_dagster import LumeResource, build_lume_assets"
    for _ in range(3) if quick else wall.rounds:
        for statement in ("import dagster", "import dagster, lume_dagster", names):
            wall.add(statement, bench.run("import", statement))
    for statement in ("import dagster, lume_dagster", names):
        yield f"{statement}, over dagster's", wall.ratio(statement, "import dagster"), 1.15, False


SECTIONS = (many_waits, noticing, one_batch, embedded_backfill, fixed_pauses, loading, importing)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and with `--check` answer 1 where a figure falls short."""
    parser = argparse.ArgumentParser(description="What it costs to drive Lume from Dagster.")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each job (default: 5)")
    parser.add_argument(
        "--quick", action="store_true", help="fewer batches and runs of each job; a tenth of slack"
    )
    parser.add_argument("--check", action="store_true", help="exit 1 where a figure falls short")
    parser.add_argument("--only", choices=[section.__name__ for section in SECTIONS], help="one section")
    parser.add_argument("--job", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.job:
        job, given = options.job
        answer = JOBS[job](*json.loads(given))
        if answer is not None:
            print(json.dumps(answer | _spent()))
        return 0
    if options.quick:
        options.repeats = 1
    with tempfile.TemporaryDirectory(prefix="lume-benchmark-") as folder:
        bench, wall = Bench(Path(folder)), Medians(options.repeats)
        figures = [
            figure
            for section in SECTIONS
            if options.only in (None, section.__name__)
            for figure in section(bench, wall, options.quick)
        ]
    print()
    if options.quick:
        figures = [
            (name, value, bound / QUICK_SLACK if least else bound * QUICK_SLACK, least)
            for name, value, bound, least in figures
        ]
    good = [value >= bound if least else value <= bound for _, value, bound, least in figures]
    for (name, value, bound, least), ok in zip(figures, good, strict=True):
        print(
            f"{'ok  ' if ok else 'SHORT'} {name}: {value:.2f}, at {'least' if least else 'most'} {bound:.3g}"
        )
    return 1 if options.check and not all(good) else 0


if __name__ == "__main__":
    sys.exit(main())
