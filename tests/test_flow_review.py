"""The review of a draft on the terminal: what a person can say about a field, and how it is shown."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lume_dagster.cli import create, main
from lume_dagster.engine import load_flow

SAMPLE = """\
id,when,seen,dist,land,size,amount
1,03/04/2024,04/02/2024 10:21 AM,12,Germany,tiny,1.234
2,05/06/2024,04/20/2024 11:08 AM,14,Freedonia,huge,5.678
3,07/08/2024,04/21/2024 11:09 PM,15,France,middling,9.123
4,07/09/2024,04/22/2024 11:09 PM,18,France,tiny,9.125
"""
FIELDS = {
    "id": {"type": "integer"},
    "when": {"type": ["string", "null"], "format": "date"},
    "seen": {"type": ["string", "null"], "format": "date-time"},
    "dist": {"type": ["number", "null"], "description": "Distance in km."},
    "land": {"type": ["string", "null"], "enum": ["DE", "FR", "US", None]},
    "size": {"type": ["string", "null"], "oneOf": [{"const": "S", "title": "small"}, {"const": "L"}]},
    "amount": {"type": ["number", "null"]},
}
LINE = "flows create things --source sample.csv --target-schema wanted.json"


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("LUME_BASE_URL", "LUME_HOME", "LUME_FLOWS", "LUME_LLM_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(create, "_is_terminal", lambda: True)
    (tmp_path / "sample.csv").write_text(SAMPLE)
    return tmp_path


def reviewed(folder: Path, *typed: str, fields: tuple[str, ...]) -> Result:
    properties = {name: FIELDS[name] for name in ("id", *fields)}
    (folder / "wanted.json").write_text(json.dumps({"type": "object", "properties": properties}))
    made = CliRunner().invoke(main, shlex.split(LINE), input="\n".join((*typed, "", "")))
    assert made.exit_code == 0, made.output
    return made


def entry(folder: Path, field: str) -> dict[str, Any]:
    path = folder / "flows" / "things" / "v1.yaml"
    assert "REVIEW" not in path.read_text()
    return load_flow(path).mapper[field]


@pytest.mark.parametrize(("answer", "form"), [("1", "%d/%m/%Y"), ("2", "%m/%d/%Y")])
def test_which_order_of_day_and_month_is_meant(folder: Path, answer: str, form: str) -> None:
    made = reviewed(folder, answer, fields=("when",))
    assert "  1: day first; 03/04/2024 is 2024-04-03\n" in made.output
    assert "  2: month first; 03/04/2024 is 2024-03-04\n" in made.output
    assert entry(folder, "when") == {"date": {"from": "when", "formats": [form]}}


def test_which_mark_divides_decimals(folder: Path) -> None:
    made = reviewed(folder, "2", fields=("amount",))
    assert "1.234 may mean 1.234 (as it is) or 1234 (" in made.output
    assert entry(folder, "amount") == {"number": {"from": "amount", "decimal": ",", "thousands": "."}}


def test_a_reading_leaves_told_what_else_is_open(folder: Path) -> None:
    (folder / "sample.csv").write_text(SAMPLE.replace(",12,", ",1.234,").replace(",14,", ",2.345,"))
    content = (folder / "sample.csv").read_text().replace(",15,", ",3.456,").replace(",18,", ",4.567,")
    (folder / "sample.csv").write_text(content)
    reviewed(folder, "2", fields=("dist",))
    assert entry(folder, "dist") == {"number": {"from": "dist", "decimal": ",", "thousands": "."}}
    text = (folder / "flows" / "things" / "v1.yaml").read_text()
    assert "nothing says that dist is" in text
    assert "may mean" not in text


def test_whose_clocks_are_meant(folder: Path) -> None:
    made = reviewed(folder, "zone", "Nowhere/X", "zone", "Europe/Berlin", fields=("seen",))
    assert "  'Nowhere/X' is no time zone; " in made.output
    assert entry(folder, "seen") == {
        "datetime": {"from": "seen", "formats": ["%m/%d/%Y %-I:%M %p"], "time_zone": "Europe/Berlin"}
    }


def test_which_unit_a_column_has(folder: Path) -> None:
    made = reviewed(folder, "unit", "parsecs", "unit", "mi", fields=("dist",))
    assert "nothing is known of the unit parsecs" in made.output
    assert entry(folder, "dist") == {"expression": "dist * 1.609344"}


def test_what_a_value_means_or_that_it_is_left(folder: Path) -> None:
    made = reviewed(folder, "class", "9", "Freedonia", "US", "size", fields=("land",))
    assert made.output.count("  there is no option ") == 2
    table = {"Germany": "DE", "France": "FR", "Freedonia": "US"}
    lookup = entry(folder, "land")["lookup"]
    assert lookup["from"] == "land"
    assert table.items() <= lookup["table"].items()


def test_a_field_without_a_class_gets_those_of_a_person(folder: Path) -> None:
    made = reviewed(folder, "class", ".", "class", "1", "L", "", fields=("size",))
    assert "no value has an option" in made.output
    assert "  1: S (small)\n  2: L\n" in made.output
    assert "'tiny' (2 records) is" in made.output
    assert entry(folder, "size") == {"lookup": {"from": "size", "table": {"tiny": "S", "huge": "L"}}}
    text = (folder / "flows" / "things" / "v1.yaml").read_text()
    assert "not classified, and rejected in 1 records: 'middling'" in text.replace("\n  # ", " ")


def on_terminal(line: str, typed: list[str], *, columns: int) -> str:
    """What a command shows on a terminal of its own, answered at each prompt."""
    terminal, far = pty.openpty()
    command = [sys.executable, "-c", "from lume_dagster.cli import main; main()", *shlex.split(line)]
    environment = {**os.environ, "COLUMNS": str(columns)}
    with subprocess.Popen(command, stdin=far, stdout=far, stderr=far, env=environment) as process:
        os.close(far)
        shown, answers, ends = b"", iter(typed), time.monotonic() + 60
        ready = select.poll()
        ready.register(terminal, select.POLLIN)
        try:
            while time.monotonic() < ends:
                if not ready.poll(200):
                    if shown.rstrip(b" ").endswith(b":"):
                        os.write(terminal, f"{next(answers)}\n".encode())
                        shown += b"\n"
                    continue
                shown += os.read(terminal, 65_536)
        except OSError:  # the other end is closed
            pass
        finally:
            os.close(terminal)
            process.kill()
    return re.sub(r"\x1b\[[\d;]*m", "", shown.decode()).replace("\r", "")


def test_on_a_terminal_of_eighty_columns(folder: Path) -> None:
    (folder / "wanted.json").write_text(json.dumps({"type": "object", "properties": FIELDS}))
    typed = ["2", "zone", "Europe/Berlin", "unit", "mi", "class", "3", "skip", "1", ""]
    shown = on_terminal(LINE, typed, columns=80)
    table, _, rest = shown.partition("4 records of the sample: ")
    assert all(len(line) <= 80 for line in table.splitlines())
    assert len(table.splitlines()) <= 1 + 3 * len(FIELDS)
    assert "{" not in table
    assert "when as date, formats %d/%m/%Y" in table
    assert "What now? (accept, 1, 2, choose, skip) [accept]: " in rest
    assert "things:v1 is written" in rest
    mapper = load_flow(folder / "flows" / "things" / "v1.yaml").mapper
    assert mapper["when"] == {"date": {"from": "when", "formats": ["%m/%d/%Y"]}}
    assert mapper["land"]["lookup"]["table"]["Freedonia"] == "US"
