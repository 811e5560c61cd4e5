"""Batches as they come: whole, broken, and in other encodings."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from lume_dagster.engine import BatchError, CancelledError, Engine, parse_flow
from tests.engine.conftest import Run, document, one_field

TEXT = {"type": ["string", "null"]}
PAIR = document({"a": TEXT, "b": TEXT}, {"a": {"extract": "a"}, "b": {"extract": "b"}})


def pairs(**settings: Any) -> dict[str, Any]:
    return {**PAIR, "source": settings}


def test_embedded_line_breaks_quotes_and_mixed_line_ends(run: Run) -> None:
    outcome = run(PAIR, 'a,b\r\n"x\ny","say ""hi"""\nlast,"cr\rlf\r\n"\r\n\nend,')
    assert outcome.mapped == [
        {"a": "x\ny", "b": 'say "hi"'},
        {"a": "last", "b": "cr\rlf\r\n"},
        {"a": "end", "b": None},
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_name(run: Run) -> None:
    assert run(PAIR, b"\xef\xbb\xbfa,b\n1,2\n").mapped == [{"a": "1", "b": "2"}]


def test_names_that_differ_in_case_and_hostile_names(run: Run) -> None:
    names = ["a", "A", "row_number", '"; DROP TABLE x; --', "c0", "", "naïve"]
    fields = {f"f{index}": TEXT for index in range(len(names))}
    mapper = {f"f{index}": {"extract": name} for index, name in enumerate(names)}
    header = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    outcome = run(document(fields, mapper), f"{header}\n1,2,3,4,5,6,7\n1,2\n")
    assert list(outcome.mapped[0].values()) == list("1234567")
    assert outcome.rejects[0]["source_record"] == '{"raw":"1,2"}'


def test_a_header_over_several_lines(run: Run) -> None:
    outcome = run(one_field(TEXT, {"extract": "the\nname"}), '\n"the\nname",other\r\n1,2\r\n')
    assert outcome.mapped == [{"x": "1"}]


def test_ragged_lines_are_rejects_with_their_number_and_text(run: Run) -> None:
    outcome = run(PAIR, 'a,b\n1,2\n\nshort\n3,4\n5,"x\ny",7\n8,9\n')
    assert outcome.mapped == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}, {"a": "8", "b": "9"}]
    assert [(row["row_number"], row["source_record"]) for row in outcome.rejects] == [
        (2, '{"raw":"short"}'),
        (4, '{"raw":"5,\\"x\\ny\\",7"}'),
    ]
    assert outcome.rejects[0]["errors"] == [
        {
            "field": None,
            "type": "unparsable",
            "message": "fewer fields than the header: 1 where it has 2",
            "value": None,
        }
    ]
    assert outcome.result.by_type == {"unparsable": 2}
    assert outcome.result.by_field == {}


def test_ragged_lines_across_blocks_keep_every_number(run: Run) -> None:
    rows = [f"{number},{'x' * 300}" if number % 7 else f"{number}" for number in range(1, 40_000)]
    outcome = run(PAIR, "a,b\n" + "\n".join(rows) + "\n")
    assert [row["row_number"] for row in outcome.rejects] == [
        number for number in range(1, 40_000) if not number % 7
    ]
    assert [int(row["a"]) for row in outcome.mapped] == [number for number in range(1, 40_000) if number % 7]


@pytest.mark.parametrize("tail", ["", "\n", "\nmore,of it\n"])
@pytest.mark.parametrize("start", ['3,"open', '"open'])
def test_a_quote_that_is_never_closed_is_no_silent_value(run: Run, start: str, tail: str) -> None:
    outcome = run(PAIR, f"a,b\n1,2\n{start}{tail}")
    assert outcome.mapped == [{"a": "1", "b": "2"}]
    (reject,) = outcome.rejects
    assert reject["row_number"] == 2
    assert "never closed" in reject["errors"][0]["message"]
    assert "open" in reject["source_record"]


def test_only_broken_lines(run: Run) -> None:
    outcome = run(PAIR, "a,b\n1\n2\n")
    assert (outcome.result.mapped_rows, outcome.result.rejected_rows) == (0, 2)


def test_a_quote_left_open_in_a_large_file_names_the_record(run: Run) -> None:
    with pytest.raises(BatchError, match=r"record 2 or one soon after it does not end .* quote"):
        run(PAIR, 'a,b\n1,2\n3,"open\n' + "4,5\n" * 5_000_000)


def test_a_latin_1_file_is_refused_with_the_place_and_read_with_the_encoding(run: Run) -> None:
    content = "a,b\n1,2\n3,caf\u00e9\n".encode("latin-1")
    with pytest.raises(
        BatchError, match=r"line 3, byte offset 13: the byte 0xe9 .* source\.encoding: latin-1"
    ):
        run(PAIR, content)
    assert run(pairs(encoding="latin-1"), content).mapped[1] == {"a": "3", "b": "caf\u00e9"}


def test_a_utf_16_file(run: Run) -> None:
    content = "a,b\n1,\u6f22\n".encode("utf-16")
    with pytest.raises(BatchError, match=r"source\.encoding: utf-16"):
        run(PAIR, content)
    assert run(pairs(encoding="utf-16"), content).mapped == [{"a": "1", "b": "\u6f22"}]


def test_a_character_across_two_chunks(run: Run) -> None:
    content = "a,b\n" + "x" * (1024 * 1024 - 5) + "\u00e9,1\n"
    assert run(PAIR, content).mapped[0]["a"].endswith("x\u00e9")
    with pytest.raises(BatchError, match=f"line 2, byte offset {1024 * 1024 - 1}"):
        run(PAIR, content.encode()[: 1024 * 1024])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("\n\n", "blank lines only"),
        ("a,b\n", "a header and no record after it; set source.allow_empty: true"),
        ("a,b\n\n\n", "no record after it"),
        ("a;b\n1;2\n", 'set source.delimiter: ";"'),
        ("a\tb\n1\t2\n", r'set source.delimiter: "\\t"'),
        ("a,b,a\n1,2,3\n", "names the column 'a' more than once"),
        ("a,B \n1,2\n", r"not there: 'b' \(did you mean 'B '\?\)"),
        (
            "c,d\n1,2\n",
            r"none is there \('a', 'b'\), and none of its 2 columns is known. Is its header missing\?",
        ),
    ],
)
def test_what_cannot_be_a_batch(run: Run, content: str, message: str) -> None:
    with pytest.raises(BatchError, match=message):
        run(PAIR, content)


def test_an_empty_batch_where_that_can_be(run: Run) -> None:
    outcome = run(pairs(allow_empty=True), "a,b\n")
    assert (outcome.mapped, outcome.rejects, outcome.result.source_rows) == ([], [], 0)


def test_an_optional_column_may_be_missing(run: Run) -> None:
    outcome = run(pairs(optional=["b"]), "a,extra\n1,2\n")
    assert outcome.mapped == [{"a": "1", "b": None}]
    assert (outcome.result.missing, outcome.result.unexpected) == (("b",), ("extra",))


def test_an_ignored_column_is_not_unexpected(run: Run) -> None:
    assert run(pairs(ignore=["extra"]), "a,b,extra,new\n1,2,3,4\n").result.unexpected == ("new",)
    assert run(pairs(ignore=["extra"]), "a,b\n1,2\n").result.missing == ()


def test_null_values_hold_for_quoted_texts_too_and_the_raw_text_is_kept(run: Run) -> None:
    flow = one_field({"type": "integer"}, {"extract": "a"}, null_values=["NA"])
    outcome = run(flow, 'a,b\n"NA",x\n,y\n')
    assert outcome.errors == {1: [("x", "required", None)], 2: [("x", "type", "")]}
    assert outcome.rejects[1]["source_record"] == '{"a":"","b":"y"}'


@pytest.mark.parametrize(
    ("path", "message"),
    [("nowhere.csv", "no such file"), ("folder.csv", "is a directory"), ("x\0y.csv", "cannot be opened"),
     ("batch.dat", "set source.format")],
)  # fmt: skip
def test_files_that_cannot_be_opened(engine: Engine, work: Path, path: str, message: str) -> None:
    (work / "folder.csv").mkdir()
    with pytest.raises(BatchError, match=message):
        engine.ingest(parse_flow(PAIR, name="x", version="v1"), str(work / path), work)


def test_cancel_while_reading_leaves_nothing(engine: Engine, work: Path) -> None:
    class Later:
        asked = 0

        def is_set(self) -> bool:
            self.asked += 1
            return self.asked > 4

    (work / "big.csv").write_text("a,b\n" + "1,2\n" * 3_000_000)
    with pytest.raises(CancelledError):
        engine.ingest(parse_flow(PAIR, name="x", version="v1"), str(work / "big.csv"), work, Later())
    assert sorted(path.name for path in work.iterdir()) == ["big.csv"]
    done = threading.Event()
    done.set()
    with pytest.raises(CancelledError):
        engine.ingest(parse_flow(PAIR, name="x", version="v1"), str(work / "big.csv"), work, done)


def test_a_byte_order_mark_in_the_first_value_stays(run: Run) -> None:
    outcome = run(one_field({"type": "string"}, {"extract": "a"}), "a,b\n\ufeffx,1\n\ufeffy,2\n")
    assert outcome.mapped == [{"x": "\ufeffx"}, {"x": "\ufeffy"}]
