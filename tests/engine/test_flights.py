"""The example: a year of real flights, against pandas."""

from __future__ import annotations

import importlib.util
import sys
from datetime import date
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from lume_dagster.engine import BatchResult, Engine, FlowVersion, load_flow

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def flights() -> ModuleType:
    spec = importlib.util.spec_from_file_location("flights_example", PROJECT / "examples/flights.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def flow() -> FlowVersion:
    return load_flow(PROJECT / "flows/flights/v1.yaml")


@pytest.fixture(scope="module")
def year(
    engine: Engine, engine_root: Path, flow: FlowVersion, flights: ModuleType
) -> tuple[BatchResult, pd.DataFrame, pd.DataFrame]:
    folder = engine_root / "year"
    folder.mkdir()
    (folder / "flights.csv").write_bytes(flights.raw_flights())
    result = engine.transform(flow, engine.ingest(flow, str(folder / "flights.csv"), folder), folder)
    return result, pd.read_parquet(result.mapped_path), pd.read_csv(folder / "flights.csv")


def test_the_counts_are_those_of_pandas(year: tuple[BatchResult, pd.DataFrame, pd.DataFrame]) -> None:
    result, mapped, source = year
    incomplete = source[["dep_time", "arr_time", "arr_delay", "air_time"]].isna().any(axis=1)
    odd_tail = source["tailnum"].notna() & ~source["tailnum"].fillna("").str.fullmatch("N[0-9A-Z]{1,5}")
    assert result.source_rows == len(source) == 336_776
    assert result.rejected_rows == (incomplete | odd_tail).sum() == 9_434
    assert result.by_field == {
        "departure": {"required": source["dep_time"].isna().sum()},
        "departure_delay": {"required": source["dep_delay"].isna().sum()},
        "arrival": {"required": (source["arr_time"].isna() & source["dep_time"].notna()).sum()},
        "arrival_delay": {"required": source["arr_delay"].isna().sum()},
        "air_time": {"required": source["air_time"].isna().sum()},
        "tail_number": {"pattern": odd_tail.sum(), "required": source["tailnum"].isna().sum()},
    }
    kept = source[~(incomplete | odd_tail)].reset_index(drop=True)
    assert (mapped["distance_km"] == kept["distance"] * 1.609344).all()
    assert (mapped["tail_number"] == kept["tailnum"]).all()
    assert mapped["flight_id"].is_unique


def test_departures_and_arrivals_agree_with_the_delays(
    year: tuple[BatchResult, pd.DataFrame, pd.DataFrame],
) -> None:
    _, mapped, _ = year
    departed = mapped["scheduled_departure"] + pd.to_timedelta(mapped["departure_delay"], unit="min")
    assert (mapped["departure"] == departed).all()
    arrived = mapped["scheduled_arrival"] + pd.to_timedelta(mapped["arrival_delay"], unit="min")
    assert (mapped["arrival"] == arrived).all()


def test_batches_are_the_raw_lines(flights: ModuleType, tmp_path: Path) -> None:
    raw = flights.raw_flights()
    batches = flights.flights_by_day(raw)
    header = raw.split(b"\n", 1)[0] + b"\n"
    assert len(batches) == 365
    assert sum(batch.count(b"\n") - 1 for batch in batches.values()) == 336_776
    assert all(batch.startswith(header) for batch in batches.values())
    first = {date(2013, 1, 1): batches[date(2013, 1, 1)]}
    assert flights.write_batches(first, tmp_path) == [tmp_path / "2013-01-01.csv"]
    assert flights.write_batches(first, tmp_path) == []
    assert raw.startswith((tmp_path / "2013-01-01.csv").read_bytes())


def test_the_command_line(flights: ModuleType, tmp_path: Path) -> None:
    arguments = ["--folder", str(tmp_path), "--from", "2013-12-30", "--to", "2014-06-01"]
    assert flights.main(arguments) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2013-12-30.csv", "2013-12-31.csv"]


def test_a_damaged_batch(flights: ModuleType, flow: FlowVersion, engine: Engine, work: Path) -> None:
    flights.main(["--folder", str(work), "--days", "2013-03-08", "--damage", "2013-03-08"])
    damaged = (work / "2013-03-08.csv").read_bytes()
    flights.main(["--folder", str(work), "--days", "2013-03-08", "--damage", "2013-03-08"])
    assert (work / "2013-03-08.csv").read_bytes() == damaged, "damage is the same each time"
    result = engine.transform(flow, engine.ingest(flow, str(work / "2013-03-08.csv"), work), work)
    whole = flights.flights_by_day(flights.raw_flights())[date(2013, 3, 8)].count(b"\n") - 1
    assert result.by_type["unparsable"] == 1
    assert 0.28 < result.by_type["duplicate"] / whole < 0.32
    assert result.source_rows == result.mapped_rows + result.rejected_rows
