"""What formats.py takes is what the engine takes, to the same value; what it does not take, the engine rejects."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lume_dagster.engine import Engine, EngineSettings, parse_flow
from lume_dagster.engine.values import ValueType
from lume_dagster.generator.formats import find_format
from lume_dagster.generator.reading import Reading

SCHEMAS: dict[ValueType, dict[str, Any]] = {
    ValueType.DATE: {"type": ["string", "null"], "format": "date"},
    ValueType.INSTANT: {"type": ["string", "null"], "format": "date-time"},
    ValueType.TIMESTAMP: {"type": ["string", "null"], "format": "date-time-local"},
    ValueType.TIME: {"type": ["string", "null"], "format": "time-local"},
    ValueType.NUMBER: {"type": ["number", "null"]},
    ValueType.INTEGER: {"type": ["integer", "null"]},
    ValueType.BOOLEAN: {"type": ["boolean", "null"]},
}
DIRT = [
    "n/a", "-", "TBD", "31/02/2013", "2013-02-30", "0", "1,234", "1.234", "12%", "(5)", "$5", "5 km", "x",
    "yes", "24:00", "1e3", "+5", " 12 ", "\u0661\u0662", "5\n", "May", "01/01/69", "29/02/2013", "12:60", "5-",
    "1,23,456", "-0", "1e999", "9" * 30, "13/13/2013", "00/00/0000", "$", "%", "(", "2013-W05", "\u00a05",
    "5\u00a0%", "1\u202f234,5", "12:00 XM",
]  # fmt: skip
WORDS = [
    "yes", "No", "Y", "n", "TRUE", "f", "1", "0", "ja", "NEIN", "on", "x", "\u2713", "s\u00ed", " no ",
]  # fmt: skip
DATE_FORMATS = [
    "%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%y", "%-d", "%Y%m%d", "%d%m%Y", "%d-%b-%y", "%B %d, %Y", "%d %b %Y",
    "%a, %d %b %Y", "%A %d %B %Y", "%Y/%m/%d", "%y-%m-%d", "%d%b%Y", "%b %d %y",
]  # fmt: skip
TIME_FORMATS = ["%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M%p", "%H.%M", "%H:%M:%S.%f", "%H%M", "%Hh%M"]


@pytest.fixture(scope="module")
def engine() -> Iterator[tuple[Engine, Path]]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with Engine(EngineSettings(directories=(root,), memory_limit="300MB")) as engine:
            yield engine, root


def mapped(
    opened: tuple[Engine, Path], texts: list[str], reading: Reading, value_type: ValueType
) -> dict[str, Any]:
    """What the engine makes of each text that it takes."""
    engine, root = opened
    document = {
        "target_schema": {
            "type": "object",
            "properties": {"row": {"type": "integer"}, "x": SCHEMAS[value_type]},
        },
        "mapper": {"row": {"extract": "row"}, "x": reading.entry("text")},
    }
    content = io.StringIO(newline="")
    writer = csv.writer(content, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["row", "text"])
    writer.writerows(enumerate(texts))
    with tempfile.TemporaryDirectory(dir=root) as folder:
        batch = Path(folder) / "batch.csv"
        batch.write_text(content.getvalue(), newline="")
        flow = parse_flow(document, name="test", version="v1")
        result = engine.transform(flow, engine.ingest(flow, str(batch), Path(folder)), Path(folder))
        rows = pq.read_table(result.mapped_path).to_pylist()
    return {texts[row["row"]]: row["x"] for row in rows}


def agree(opened: tuple[Engine, Path], texts: list[str], value_type: ValueType) -> None:
    column = find_format(texts, value_type)
    texts = [text for text in texts if text not in column.absent]  # they belong into null_values
    for reading in column.readings:
        found = mapped(opened, texts, reading, value_type)
        assert found == dict(reading.values), reading.entry("text")
        assert {text: type(value) for text, value in found.items()} == {
            text: type(value) for text, value in reading.values.items()
        }


FIRST, LAST = datetime(1, 1, 1), datetime(9999, 12, 31)  # noqa: DTZ001 - clocks on the wall
RECENT = datetime(1970, 1, 1), datetime(2060, 1, 1)  # noqa: DTZ001
moments = st.datetimes(FIRST, LAST) | st.datetimes(*RECENT)
dirt = st.lists(
    st.sampled_from(DIRT) | st.text("0123456789-+.,/: %()$EURaempTZ\u00a0", max_size=12), max_size=2
)


def distinct(texts: list[str]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text.strip(" \t\n\v\f\r")))


def written(moment: datetime, form: str, *, padded: bool) -> str:
    text = moment.strftime(form.replace("%Y", f"{moment.year:04d}"))
    return text if padded else text.replace("/0", "/").removeprefix("0")


@given(
    st.lists(moments, min_size=1, max_size=12), st.sampled_from(DATE_FORMATS), st.sampled_from(["", *TIME_FORMATS]),
    st.sampled_from(["", "Z", " UTC", "+0100", "-05:00", "+05:30"]), st.sampled_from([" ", "T"]), st.booleans(), dirt,
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_dates(
    engine: tuple[Engine, Path],
    found: list[datetime],
    day: str,
    clock: str,
    zone: str,
    between: str,
    padded: bool,
    dirty: list[str],
) -> None:
    form = f"{day}{between}{clock}{zone}" if clock else day
    texts = distinct([*(written(moment, form, padded=padded) for moment in found), *dirty])
    for value_type in (ValueType.DATE, ValueType.INSTANT, ValueType.TIMESTAMP):
        agree(engine, texts, value_type)


@given(st.lists(st.times(), min_size=1, max_size=12), st.sampled_from(TIME_FORMATS), st.booleans(), dirt)
@settings(max_examples=30, deadline=None)
def test_times(
    engine: tuple[Engine, Path], found: list[time], clock: str, padded: bool, dirty: list[str]
) -> None:
    texts = distinct(
        [*(written(datetime.combine(date(2013, 2, 3), one), clock, padded=padded) for one in found), *dirty]
    )
    agree(engine, texts, ValueType.TIME)


numbers = (
    st.integers(-(10**12), 10**12) | st.decimals(-(10**9), 10**9, places=2) | st.decimals(-100, 100, places=3)
)


@given(
    st.lists(numbers, min_size=1, max_size=12), st.sampled_from([".", ","]),
    st.sampled_from(["", ",", ".", " ", "'", "_", "\u00a0"]),
    st.sampled_from(["{}", "${}", "{} EUR", "\u20ac {}", "{}%", "{} %", "{} km", "({})", "CHF {}", "{} kr."]), dirt,
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_numbers(
    engine: tuple[Engine, Path], found: list[Any], decimal: str, thousands: str, around: str, dirty: list[str]
) -> None:
    def text(number: Any) -> str:
        plain = f"{number:,f}" if not isinstance(number, int) else f"{number:,}"
        return around.format(plain.translate({ord(","): thousands, ord("."): decimal}))

    texts = distinct([*(text(number) for number in found), *dirty])
    for value_type in (ValueType.NUMBER, ValueType.INTEGER):
        agree(engine, texts, value_type)


@given(st.lists(st.sampled_from(WORDS), min_size=1), dirt)
@settings(max_examples=30, deadline=None)
def test_words(engine: tuple[Engine, Path], found: list[str], dirty: list[str]) -> None:
    agree(engine, distinct([*found, *dirty]), ValueType.BOOLEAN)


def test_clocks_of_a_zone(engine: tuple[Engine, Path]) -> None:
    texts = [
        "30.03.2013 12:00",
        "31.03.2013 02:30",
        "27.10.2013 02:30",
        "01.07.2013 00:00",
        "02.01.2013 09:15",
    ]
    (reading,) = find_format(texts, ValueType.INSTANT, time_zone="Europe/Berlin").readings
    found = mapped(engine, texts, reading, ValueType.INSTANT)
    assert found == dict(reading.values)
    assert "31.03.2013 02:30" not in found
    assert found["01.07.2013 00:00"] == datetime(2013, 7, 1, tzinfo=timezone.utc) - timedelta(hours=2)
