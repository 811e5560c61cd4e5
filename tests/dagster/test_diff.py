"""The diff of two flow versions: record by record, against what a person would say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from lume_dagster import LumeResource
from lume_dagster.cli import main
from lume_dagster.client import LumeError
from lume_dagster.diff import MASK, Change, OutcomeDiff, as_markdown, as_text, diff_batches
from tests.conftest import PEOPLE_FLOW

CHANGED = (
    PEOPLE_FLOW.replace("maxLength: 10", "maxLength: 3")
    .replace("{extract: Full Name}", "{extract: Full Name, steps: [upper]}")
    .replace("minimum: 1,", "minimum: 0,")
    .replace("  required:", '    nick: {type: [string, "null"]}\n  required:')
    + "  nick: {extract: Full Name}\n"
)
BATCH = "ID,Full Name,Mail\n1,Ada,ada@example.com\n2,Charles,\n0,Eve,eve@example.com\nx,Cy,\n5,BOB,nowhere\n6,Dan,\n"


@pytest.fixture
def lume(tmp_path: Path, flows: Path) -> LumeResource:
    (flows / "people" / "v2.yaml").write_text(CHANGED)
    (tmp_path / "people.csv").write_text(BATCH)
    return LumeResource(home=str(tmp_path / "home"), flows=str(flows))


@pytest.fixture
def diff(lume: LumeResource, tmp_path: Path) -> OutcomeDiff:
    with lume.client as client:
        return diff_batches(client, "people:v1", "people:v2", [str(tmp_path / "people.csv")])


def test_each_change_is_told(diff: OutcomeDiff) -> None:
    (batch,) = diff.batches
    assert (diff.added_fields, diff.removed_fields, diff.is_empty) == (("nick",), (), False)
    assert batch.rows == 6
    assert ((batch.before.mapped, batch.before.rejected), (batch.after.mapped, batch.after.rejected)) == (
        (3, 3),
        (3, 3),
    )
    assert (batch.now_rejected, batch.now_mapped, batch.other_reasons) == (1, 1, 0)
    assert batch.changed_values == {"name": 2}
    verdicts = {(one.row_number, one.field): (one.before, one.after) for one in batch.samples}
    assert verdicts[2, None][0] == "mapped"
    assert verdicts[2, None][1].startswith("rejected: name:")
    assert verdicts[3, None][1] == "mapped"
    assert (verdicts[1, "name"], verdicts[6, "name"]) == (("Ada", "ADA"), ("Dan", "DAN"))


def test_the_same_flow_version_changes_nothing(lume: LumeResource, tmp_path: Path) -> None:
    with lume.client as client:
        same = diff_batches(client, "people:v1", "people:v1", [str(tmp_path / "people.csv")])
        assert same.is_empty
        assert "Nothing changes." in as_text(same)


def test_both_see_the_input_that_was_stored(lume: LumeResource, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    with lume.client as client:
        client.wait(client.run("people:v1", str(path)))
        path.write_text("ID,Full Name,Mail\n9,Zoe,\n")
        (batch,) = diff_batches(client, "people:v1", "people:v2", [str(path)]).batches
    assert batch.rows == 6


def test_sensitive_values_are_masked(lume: LumeResource, flows: Path, tmp_path: Path) -> None:
    (flows / "people" / "v2.yaml").write_text(
        PEOPLE_FLOW.replace("{extract: Mail}", "{extract: Mail, steps: [upper]}")
    )
    with lume.client as client:
        found = diff_batches(client, "people:v1", "people:v2", [str(tmp_path / "people.csv")])
    (batch,) = found.batches
    assert batch.changed_values == {"email": 1}
    assert Change(1, "email", MASK, MASK) in batch.samples
    assert "example.com" not in as_text(found) + as_markdown(found)


def test_sensitive_members_of_objects_and_what_quotes_whole_records_are_masked(
    lume: LumeResource, flows: Path, tmp_path: Path
) -> None:
    nested = """
target_schema:
  type: object
  properties:
    id: {type: integer, isPrimaryKey: true}
    address:
      type: [object, "null"]
      properties:
        street: {type: [string, "null"], x-sensitive: true}
mapper:
  id: {extract: ID}
  address.street: {extract: Full Name}
"""
    (flows / "people" / "v1.yaml").write_text(nested)
    (flows / "people" / "v2.yaml").write_text(
        nested.replace("{extract: Full Name}", "{extract: Full Name, steps: [upper]}")
    )
    with lume.client as client:
        found = diff_batches(client, "people:v1", "people:v2", [str(tmp_path / "people.csv")])
    assert found.batches[0].changed_values == {"address": 4}  # BOB stays as it is
    text = as_text(found) + as_markdown(found)
    assert "Ada" not in text
    assert "ADA" not in text


def test_a_batch_that_cannot_be_run_is_named(lume: LumeResource, tmp_path: Path) -> None:
    with lume.client as client, pytest.raises(LumeError, match=r"missing\.csv"):
        diff_batches(client, "people:v1", "people:v2", [str(tmp_path / "missing.csv")])


def test_markdown_shows_what_comes_from_data_as_it_is(
    lume: LumeResource, flows: Path, tmp_path: Path
) -> None:
    nasty = "<b>[x](http://a)|`*"
    (flows / "people" / "v1.yaml").write_text(PEOPLE_FLOW.replace("maxLength: 10", "maxLength: 50"))
    (flows / "people" / "v2.yaml").write_text(CHANGED.replace("maxLength: 3", "maxLength: 50"))
    (tmp_path / "nasty.csv").write_text(f"ID,Full Name,Mail\n1,{nasty},\n")
    with lume.client as client:
        text = as_markdown(diff_batches(client, "people:v1", "people:v2", [str(tmp_path / "nasty.csv")]))
    (line,) = [line for line in text.splitlines() if line.startswith("| 1 |")]
    assert line.count("|") == 5
    assert not any(sign in line for sign in ("<b>", "[x]", "http://", "`", "*"))


def test_the_command_prints_and_writes(lume: LumeResource, flows: Path, tmp_path: Path) -> None:
    environment = {"LUME_HOME": lume.home, "LUME_FLOWS": lume.flows, "LUME_BASE_URL": None}
    arguments = ["diff", "people:v1", "people:v2", "--batch", str(tmp_path / "people.csv")]
    printed = CliRunner().invoke(main, arguments, env=environment)
    assert printed.exit_code == 0, printed.output
    assert "now rejected 1, now mapped 1" in printed.stdout
    as_json = CliRunner().invoke(main, [*arguments, "--format", "json", "--exit-code"], env=environment)
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["batches"][0]["changed_values"] == {"name": 2}
    comment = tmp_path / "comment.md"
    CliRunner().invoke(main, [*arguments, "--format", "markdown", "-o", str(comment)], env=environment)
    assert comment.read_text().startswith("### <code>people")
    assert [path.name for path in tmp_path.glob("*comment*")] == ["comment.md"]
    nowhere = CliRunner().invoke(main, [*arguments, "-o", str(tmp_path / "no" / "c.md")], env=environment)
    assert (nowhere.exit_code, "No such file" in nowhere.stderr) == (1, True)
    unknown = CliRunner().invoke(main, ["diff", "people:v1", "people:v9", "-b", "x"], env=environment)
    assert unknown.exit_code == 1
    assert "people" in unknown.stderr


NAMES = st.sampled_from(["Ada", "Bo", "Charles", "", "bo"])
RECORDS = st.lists(st.tuples(st.sampled_from(["0", "1", "2", "3", "x"]), NAMES), min_size=1, max_size=8)


@settings(max_examples=15, deadline=None)
@given(records=RECORDS)
def test_the_numbers_are_those_of_a_record_by_record_look(
    records: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("diff")
    (folder / "flows" / "people").mkdir(parents=True)
    (folder / "flows" / "people" / "v1.yaml").write_text(PEOPLE_FLOW)
    (folder / "flows" / "people" / "v2.yaml").write_text(CHANGED)
    (folder / "b.csv").write_text(
        "ID,Full Name,Mail\n" + "".join(f"{key},{name},\n" for key, name in records)
    )
    with LumeResource(home=str(folder / "home"), flows=str(folder / "flows")).client as client:
        (batch,) = diff_batches(client, "people:v1", "people:v2", [str(folder / "b.csv")]).batches

    def mapped(least: int, longest: int) -> list[bool]:
        seen: set[str] = set()
        verdicts = []
        for key, name in records:
            duplicate = key != "x" and key in seen
            seen.add(key)
            verdicts.append(key != "x" and int(key) >= least and 0 < len(name) <= longest and not duplicate)
        return verdicts

    before, after = mapped(1, 10), mapped(0, 3)
    assert batch.now_rejected == sum(one and not other for one, other in zip(before, after, strict=True))
    assert batch.now_mapped == sum(other and not one for one, other in zip(before, after, strict=True))
    changed = sum(
        one and other and name != name.upper()
        for one, other, (_, name) in zip(before, after, records, strict=True)
    )
    assert batch.changed_values == ({"name": changed} if changed else {})
