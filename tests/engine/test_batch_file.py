"""Files as they lie there: compressed, in any encoding, hostile, huge."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lume_dagster.engine import BatchError, Engine, EngineSettings, parse_flow
from tests.engine.conftest import Outcome, Run, document, one_field

TEXT = {"type": ["string", "null"]}
PAIR = document({"a": TEXT, "b": TEXT}, {"a": {"extract": "a"}, "b": {"extract": "b"}})
DETECT = {**PAIR, "source": {"encoding": "detect"}}
CONTENT = b"a,b\n1,2\n3,4\n"


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (gzip.compress(CONTENT), "batch.csv.gz"),
        (zstd(CONTENT), "batch.CSV.ZST"),
        (gzip.compress(CONTENT), "named_plain.csv"),
        (CONTENT, "named_gzip.csv.gz"),
        (gzip.compress(CONTENT[:6]) + gzip.compress(CONTENT[6:]), "members.csv.gz"),
        (zstd(CONTENT[:6]) + zstd(CONTENT[6:]), "frames.csv.zst"),
    ],
)
def test_compressed_files_are_told_by_their_first_bytes(run: Run, content: bytes, name: str) -> None:
    outcome = run(PAIR, content, name)
    assert outcome.mapped == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert outcome.result.bytes_read == len(content)
    assert outcome.result.format == "csv"


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
def test_a_truncated_compressed_file_fails(run: Run, compress: object) -> None:
    rows = "".join(f"{number},{number * 7919 % 10007}\n" for number in range(200_000))
    content = compress(f"a,b\n{rows}".encode())  # type: ignore[operator]
    with pytest.raises(BatchError, match=r"batch\.csv: reading failed"):
        run(PAIR, content[: len(content) // 2])


@pytest.mark.parametrize(
    ("encoding", "found"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("utf-16-le", "utf-16-le"),
     ("utf-16-be", "utf-16-be"), ("utf-32", "utf-32"), ("cp1252", "cp1252")],
)  # fmt: skip
def test_an_encoding_is_detected_and_said(run: Run, encoding: str, found: str) -> None:
    outcome = run(DETECT, "a,b\nplain,caf\u00e9 \u20ac\n".encode(encoding))
    assert outcome.mapped == [{"a": "plain", "b": "caf\u00e9 \u20ac"}]
    assert outcome.result.encoding == found


def test_what_windows_1252_does_not_know_is_latin_1(run: Run) -> None:
    outcome = run(DETECT, b"a,b\n\x81,\xe9\n")
    assert outcome.mapped == [{"a": "\x81", "b": "\u00e9"}]
    assert outcome.result.encoding == "iso8859-1"


def test_a_late_byte_decides_about_the_encoding(run: Run) -> None:
    rows = "\u00e9,x\n" * 400_000
    assert run(DETECT, f"a,b\n{rows}".encode()).result.encoding == "utf-8"
    outcome = run(DETECT, f"a,b\n{rows}".encode() + b"\xe9,late\n")
    assert outcome.result.encoding == "cp1252"
    assert outcome.mapped[-1] == {"a": "\u00e9", "b": "late"}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60))
def test_with_detection_any_bytes_are_read_or_refused(run: Run, content: bytes) -> None:
    try:
        outcome = run({**PAIR, "source": {"encoding": "detect", "allow_empty": True}}, b"a,b\n" + content)
    except BatchError:
        return
    assert outcome.result.mapped_rows + outcome.result.rejected_rows == outcome.result.source_rows


def test_a_pipe_is_read_once_and_so_has_no_encoding_detected(engine: Engine, work: Path) -> None:
    pipe = work / "pipe.csv"
    os.mkfifo(pipe)
    holder = os.open(pipe, os.O_RDWR)
    try:
        with pytest.raises(BatchError, match=r"no regular file.*set source\.encoding"):
            engine.ingest(parse_flow(DETECT, name="x", version="v1"), str(pipe), work)
        writer = threading.Thread(target=pipe.write_bytes, args=(CONTENT,))
        os.write(holder, b"")
        flow = parse_flow(PAIR, name="x", version="v1")
        writer.start()
        threading.Timer(0.5, os.close, (holder,)).start()
        assert engine.ingest(flow, str(pipe), work).rows == 2
        writer.join()
    except BaseException:
        os.close(holder)
        raise


HOSTILE = [
    "Robert'); DROP TABLE x; --",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "=HYPERLINK(\"http://x\")",
    "@SUM(A1)",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\u202eright to left",
    "e\u0301 is not \u00e9",
    "nul\0inside",
    "$1 {x} %s \\ `",
    "x" * 1_000_000,
]  # fmt: skip


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def test_hostile_values_come_through_as_they_are(run: Run) -> None:
    content = "a,b\n" + "".join(f"{quoted(text)},{quoted(text)}\n" for text in HOSTILE)
    assert [row["b"] for row in run(PAIR, content).mapped] == HOSTILE
    numbers = document({"n": {"type": "integer"}}, {"n": {"extract": "a"}})
    rejects = run(numbers, content).rejects
    assert [json.loads(row["source_record"])["b"] for row in rejects] == HOSTILE
    assert [row["errors"][0]["value"] for row in rejects] == HOSTILE


@pytest.mark.parametrize("name", [text for text in HOSTILE if "\0" not in text and len(text) < 100])
def test_hostile_names_are_only_names(run: Run, name: str) -> None:
    outcome = run(one_field({"type": "integer"}, {"extract": name}), f"{quoted(name)},z\n1,2\nx,3\n")
    assert outcome.mapped == [{"x": 1}]
    assert json.loads(outcome.rejects[0]["source_record"]) == {name: "x", "z": "3"}


def test_a_header_with_a_nul_character_is_refused(run: Run) -> None:
    with pytest.raises(BatchError, match=r"line 1: .* NUL .* source\.encoding: detect"):
        run(PAIR, "a,b\n1,2\n".encode("utf-16-le"))


def test_thousands_of_columns(work: Path) -> None:
    columns = [f"column {number}" for number in range(5_000)]
    row = ",".join(str(number) for number in range(5_000))
    flow = document(
        {"x": {"type": "integer"}, "y": {"type": "integer"}},
        {"x": {"extract": "column 4999"}, "y": {"extract": "column 17"}},
    )
    batch = work / "wide.csv"
    batch.write_text(",".join(columns) + "\n" + f"{row}\n" * 500 + "z" + row[1:-4] + "bad\n")
    wide = parse_flow(flow, name="wide", version="v1")
    with Engine(EngineSettings(memory_limit="2GB")) as engine:
        outcome = Outcome(engine.transform(wide, engine.ingest(wide, str(batch), work), work))
    assert outcome.mapped == [{"x": 4999, "y": 17}] * 500
    assert json.loads(outcome.rejects[0]["source_record"])["column 4998"] == "4998"
    assert len(outcome.result.unexpected) == 4_998


HUGE_LINE = """
import resource, sys
from pathlib import Path
from lume_dagster.engine import BatchError, Engine
from tests.engine.test_batch_file import FLOW

folder = Path(sys.argv[1])
with Engine() as engine:
    engine.ingest(FLOW, str(folder / "small.csv"), folder)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        engine.ingest(FLOW, str(folder / sys.argv[2]), folder)
    except BatchError as error:
        print(error)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
FLOW = parse_flow(PAIR, name="test", version="v1")


@pytest.mark.parametrize("start", ["a,b\n1,2\n", 'a,b\n1,2\n3,"', ""])
def test_a_line_of_100_mb_is_refused_in_little_memory(tmp_path: Path, start: str) -> None:
    (tmp_path / "small.csv").write_bytes(CONTENT)
    with (tmp_path / "huge.csv").open("w") as file:
        file.write(start)
        for _ in range(100):
            file.write("x" * 1_000_000)
    done = subprocess.run(
        [sys.executable, "-c", HUGE_LINE, str(tmp_path), "huge.csv"],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    message, grown = done.stdout.splitlines()
    assert "does not end within" in message
    assert int(grown) < 60_000, "kilobytes"
