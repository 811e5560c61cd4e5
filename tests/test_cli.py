from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from lume_dagster.cli import main
from lume_dagster.service.settings import ServiceSettings
from lume_dagster.testing import ScriptedLume


@pytest.fixture
def environment(settings: ServiceSettings) -> dict[str, str | None]:
    return {
        "LUME_HOME": str(settings.home),
        "LUME_FLOWS": str(settings.flows),
        "LUME_BASE_URL": None,
        "LUME_API_KEY": None,
    }


def call(environment: dict[str, str | None], *arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], env=environment)


def told(environment: dict[str, str | None], *arguments: str | Path) -> Any:
    result = call(environment, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_batch_is_run_and_looked_into(environment: dict[str, str | None], people: Path) -> None:
    run = told(environment, "run", "people:v1", people)
    assert run["status"] == "PARTIAL_FAILED"
    assert told(environment, "runs", "show", run["id"])["id"] == run["id"]
    assert [item["id"] for item in told(environment, "runs", "list")["items"]] == [run["id"]]
    mapped = told(environment, "runs", "results", run["id"])["items"]
    assert [record["name"] for record in mapped] == ["Ada", "Bob"]
    rejects = told(environment, "runs", "results", run["id"], "--kind", "rejects")["items"]
    assert [reject["row_number"] for reject in rejects] == [3, 4]
    assert told(environment, "runs", "cancel", run["id"])["status"] == "PARTIAL_FAILED"


def test_people_read_tables(environment: dict[str, str | None], people: Path) -> None:
    shown = call(environment, "run", "people:v1", people).stdout
    assert "PARTIAL_FAILED" in shown
    assert "required" in shown
    assert "PARTIAL_FAILED" in call(environment, "runs", "list").stdout
    run_id = told(environment, "runs", "list")["items"][0]["id"]
    assert "Ada" in call(environment, "runs", "results", run_id).stdout
    assert '{"ID": "x"' in call(environment, "runs", "results", run_id, "--kind", "rejects").stdout
    assert "people" in call(environment, "flows", "list").stdout
    assert "The partner's number." in call(environment, "flows", "show", "people:v1").stdout


def test_a_mapped_batch_is_run_again_only_by_force(environment: dict[str, str | None], people: Path) -> None:
    first = told(environment, "run", "people:v1", people)
    refused = call(environment, "run", "people:v1", people)
    assert refused.exit_code == 1
    assert first["id"] in refused.stderr
    assert "--force-rerun" in refused.stderr
    assert told(environment, "run", "people:v1", people, "--force-rerun")["id"] != first["id"]


def test_a_failed_run_is_an_exit_code_and_a_reason(environment: dict[str, str | None]) -> None:
    failed = call(environment, "run", "people:v1", "nowhere.csv")
    assert failed.exit_code == 1
    assert "nowhere.csv" in failed.stdout


@pytest.mark.parametrize(
    ("arguments", "told_of"),
    [
        (["run", "nobody:v1", "x.csv"], "flows there: flights, people"),
        (["runs", "show", "run_x"], "run_x"),
        (["flows", "show", "people:v9"], "it has v1"),
        (["--base-url", "ftp://x", "flows", "list"], "http"),
    ],
)
def test_a_refusal_is_a_message_and_no_traceback(
    environment: dict[str, str | None], arguments: list[str], told_of: str
) -> None:
    refused = call(environment, *arguments)
    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: ")
    assert told_of in refused.stderr


def test_flow_files_are_checked(environment: dict[str, str | None], flows: Path) -> None:
    file = flows / "people" / "v1.yaml"
    assert "people:v1 is valid" in call(environment, "flows", "check", file).stdout
    assert told(environment, "flows", "check", file)["valid"] is True
    file.write_text(file.read_text().replace("format: email", "format: phone"))
    refused = call(environment, "flows", "check", file)
    assert refused.exit_code == 1
    assert "phone" in refused.stderr
    assert json.loads(call(environment, "flows", "check", file, "--json").stdout)["valid"] is False


def test_a_flow_file_is_checked_against_a_sample(
    environment: dict[str, str | None], flows: Path, people: Path
) -> None:
    file = flows / "people" / "v1.yaml"
    shown = call(environment, "flows", "check", file, "--sample", people)
    assert shown.exit_code == 0
    assert "4 records, 2 mapped, 2 rejected" in shown.stdout
    assert "row 3: id is not" in shown.stdout
    sample = told(environment, "flows", "check", file, "--sample", people)["sample"]
    assert sample["rows"] == {"source": 4, "mapped": 2, "rejected": 2}
    assert sample["by_field"]["name"] == {"required": 1}
    assert sample["rejects"][0]["row_number"] == 3
    people.write_text("ID,Full Name,Mail\nx,,\n")
    assert call(environment, "flows", "check", file, "--sample", people).exit_code == 1
    gone = call(environment, "flows", "check", file, "--sample", "gone.csv")
    assert gone.exit_code == 1
    assert "gone.csv: there is no such file" in gone.stderr


def test_a_file_is_handed_over_and_run(environment: dict[str, str | None], people: Path) -> None:
    source_path = call(environment, "upload", people).stdout.strip()
    assert source_path.startswith("upload:")
    assert told(environment, "upload", people) == {"source_path": source_path}
    run = told(
        environment, "run", "people:v1", source_path, "--metadata", "ticket=7", "--metadata", "why=a=b"
    )
    assert run["metadata"]["rows"] == {"source": 4, "mapped": 2, "rejected": 2}
    assert run["metadata"]["run_metadata"].items() >= {"ticket": "7", "why": "a=b"}.items()
    forced = told(environment, "run", "people:v1", people, "--upload", "--force-rerun")
    assert forced["source_path"] == source_path
    assert "gone.csv" in call(environment, "run", "people:v1", "gone.csv", "--upload").stderr
    assert "NAME=VALUE" in call(environment, "run", "people:v1", people, "--metadata", "x").stderr


def test_the_input_of_an_earlier_run_is_run_again(environment: dict[str, str | None], people: Path) -> None:
    first = told(environment, "run", "people:v1", people)
    people.unlink()
    again = told(environment, "run", "people:v1", f"run:{first['id']}")
    assert again["metadata"]["checksums"] == first["metadata"]["checksums"]


def test_results_are_written_to_a_file(
    environment: dict[str, str | None], people: Path, tmp_path: Path
) -> None:
    run_id = told(environment, "run", "people:v1", people)["id"]
    written = {}
    for kind, name in [
        ("mapped", "m.csv"),
        ("mapped", "m.jsonl"),
        ("mapped", "m.parquet"),
        ("rejects", "r.csv"),
        ("rejects", "r.jsonl"),
        ("rejects", "r.parquet"),
    ]:
        file = tmp_path / name
        shown = call(environment, "runs", "results", run_id, "--kind", kind, "--output", file)
        assert shown.stdout == f"{file}: 2 records\n"
        written[name] = pq.read_table(file).to_pylist() if name.endswith("parquet") else file.read_text()
    mapped = [
        {"id": 1, "name": "Ada", "email": "ada@example.com"},
        {"id": 2, "name": "Bob", "email": None},
    ]
    assert written["m.parquet"] == [json.loads(line) for line in written["m.jsonl"].splitlines()] == mapped
    assert written["m.csv"] == '"id","name","email"\n1,"Ada","ada@example.com"\n2,"Bob",\n'
    assert written["r.csv"].splitlines()[0] == "row_number,reasons,ID,Full Name,Mail,run_id"
    rejects = [json.loads(line) for line in written["r.jsonl"].splitlines()]
    assert [reject["row_number"] for reject in rejects] == [row["row_number"] for row in written["r.parquet"]]
    refused = call(environment, "runs", "results", run_id, "--output", tmp_path / "m.docx")
    assert ".csv, .jsonl, .parquet" in refused.stderr
    assert (
        "No such file"
        in call(environment, "runs", "results", run_id, "--output", tmp_path / "no" / "m.csv").stderr
    )


def test_versions_are_compared(environment: dict[str, str | None], flows: Path) -> None:
    v1 = (flows / "people" / "v1.yaml").read_text()
    v2 = v1.replace("maxLength: 10", "maxLength: 12").replace(
        "{extract: Mail}", "{extract: E-Mail, default: x@example.com}"
    )
    v2 = v2.replace("required: [id, name]", "required: [id]") + "source: {delimiter: ';'}\n"
    (flows / "people" / "v2.yaml").write_text(v2)
    diff = told(environment, "flows", "diff", "people:v1", "people:v2")
    assert diff["same_fingerprint"] is False
    assert [
        (change["field"], change["place"], change["before"], change["after"]) for change in diff["changes"]
    ] == [
        (None, "source.delimiter", ",", ";"),
        ("name", "schema.maxLength", 10, 12),
        ("name", "required", True, False),
        ("email", "mapper.extract", "Mail", "E-Mail"),
        ("email", "mapper.default", None, "x@example.com"),
    ]
    shown = call(environment, "flows", "diff", "people:v1", "people:v2").stdout
    assert "people:v2" in shown
    assert "schema.maxLength" in shown
    assert "the same fingerprint" in call(environment, "flows", "diff", "people:v1", "people:v1").stdout
    assert "it has v1, v2" in call(environment, "flows", "diff", "people:v1", "people:v3").stderr


def test_a_draft_becomes_the_next_version(
    environment: dict[str, str | None], flows: Path, people: Path, tmp_path: Path
) -> None:
    v1 = (flows / "people" / "v1.yaml").read_text()
    draft = flows / "people" / "draft.yaml"
    draft.write_text("# wider names\n" + v1.replace("maxLength: 10", "maxLength: 12"))
    told(environment, "run", "people:v1", people)
    promoted = told(environment, "flows", "promote", draft)
    assert promoted["flow_version"] == "people:v2"
    assert (flows / "people" / "v2.yaml").read_text() == draft.read_text()
    assert (flows / "people" / "v1.yaml").read_text() == v1
    again = call(environment, "flows", "promote", draft)
    assert again.exit_code == 1
    assert "nothing to promote" in again.stderr
    # Back to what v1 says: by running it, or by making it the newest.
    assert told(environment, "run", "people:v1", people, "--force-rerun")["flow_version"] == "people:v1"
    assert "people:v1 is people:v3 now" in call(environment, "flows", "promote", "people:v1").stdout
    assert told(environment, "flows", "diff", "people:v1", "people:v3")["same_fingerprint"] is True
    runs = [told(environment, "run", version, people) for version in ("people:v2", "people:v3")]
    told_by = [run["metadata"]["mapper"] for run in runs]
    assert [mapper["version"] for mapper in told_by] == ["v2", "v3"]
    assert told_by[0]["fingerprint"] == promoted["fingerprint"] != told_by[1]["fingerprint"]


def test_a_draft_may_be_the_first_version(
    environment: dict[str, str | None], flows: Path, tmp_path: Path
) -> None:
    draft = tmp_path / "idea.yaml"
    draft.write_text((flows / "people" / "v1.yaml").read_text())
    assert told(environment, "flows", "promote", draft, "--flow", "staff")["flow_version"] == "staff:v1"
    draft.write_text("nonsense: 1\n")
    for arguments, message in [
        ([draft, "--flow", "staff"], "target_schema"),
        ([draft, "--flow", "../x"], "no flow name"),
        ([tmp_path / "gone.yaml", "--flow", "staff"], "gone.yaml"),
        (["staff:v7"], "it has v1"),
        (["staff"], "NAME:vN"),
    ]:
        refused = call(environment, "flows", "promote", *arguments)
        assert refused.exit_code == 1
        assert message in refused.stderr
    assert sorted(path.name for path in (flows / "staff").iterdir()) == ["v1.yaml"]
    hosted = {**environment, "LUME_BASE_URL": "http://127.0.0.1:9"}
    assert "LUME_BASE_URL" in call(hosted, "flows", "promote", draft).stderr


def test_a_hosted_lume_is_spoken_to_with_its_key(environment: dict[str, str | None]) -> None:
    with ScriptedLume(api_key="hunter2", flows=[{"flow_version": "people:v1"}]) as lume:
        hosted = {**environment, "LUME_BASE_URL": lume.url, "LUME_API_KEY": "hunter2"}
        assert told(hosted, "flows", "list")[0]["name"] == "people"
        refused = call({**hosted, "LUME_API_KEY": "wrong"}, "flows", "list")
        assert refused.exit_code == 1
        assert "LUME_API_KEY" in refused.stderr
        assert "wrong" not in refused.output


def test_an_interrupt_cancels_an_embedded_run(environment: dict[str, str | None], tmp_path: Path) -> None:
    fifo = tmp_path / "endless.csv"
    os.mkfifo(fifo)
    process = subprocess.Popen(
        [sys.executable, "-m", "lume_dagster.cli", "run", "people:v1", str(fifo)],
        env={**os.environ, **{name: value for name, value in environment.items() if value}},
        stderr=subprocess.PIPE,
        text=True,
    )
    batch = os.open(fifo, os.O_RDWR)
    os.write(batch, b"ID,Full Name,Mail\n")
    deadline = time.monotonic() + 30
    while not told(environment, "runs", "list", "--status", "SYNCING_SOURCE")["items"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    # The engine looks at the flag between two reads; these come to no end before it does.
    os.set_blocking(batch, False)
    while process.poll() is None:
        assert time.monotonic() < deadline
        try:
            os.write(batch, b"1,Ada,ada@example.com\n" * 1_000)
        except BlockingIOError:
            time.sleep(0.01)
    os.close(batch)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "interrupted: run run_" in errors
    (run,) = told(environment, "runs", "list")["items"]
    assert run["status"] == "FAILED"
    assert "cancelled" in run["metadata"]["error_message"]


def test_it_is_quiet_when_piped(environment: dict[str, str | None], people: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lume_dagster.cli", "run", "people:v1", str(people), "--json"],
        env={**os.environ, **{name: value for name, value in environment.items() if value}},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["status"] == "PARTIAL_FAILED"
    assert done.stderr == ""


def test_corrected_rejects_are_resubmitted(
    environment: dict[str, str | None], people: Path, tmp_path: Path
) -> None:
    review = tmp_path / "review.csv"
    resubmit = ("rejects", "resubmit", "people:v1", people, review)
    first = told(environment, "run", "people:v1", people)["id"]
    assert call(environment, "runs", "results", first, "--kind", "rejects", "--output", review).exit_code == 0
    unchanged = call(environment, *resubmit)
    assert (unchanged.exit_code, "changes nothing" in unchanged.stderr) == (0, True), unchanged.output

    review.write_text(review.read_text().replace(",x,Cy,", ",3,Cy,"))
    second = told(environment, *resubmit)
    assert second["metadata"]["rows"] == {"source": 4, "mapped": 3, "rejected": 1}
    assert second["metadata"]["corrects"]["run_id"] == first
    assert told(environment, *resubmit)["id"] == second["id"]

    review.write_text(review.read_text().replace(",3,Cy,", ",5,Cy,"))
    refused = call(environment, *resubmit)
    assert refused.exit_code == 1
    assert "row 3 was not rejected" in refused.stderr
    forced = call(environment, "run", "people:v1", people, "--force-rerun")
    assert f"takes the place of run {second['id']}" in forced.stderr
    assert (
        "there is no run of people:v1"
        in call(environment, "rejects", "resubmit", "people:v1", "other.csv", review).stderr
    )


def test_rejects_of_records_that_were_read_anew_are_not_resubmitted(
    environment: dict[str, str | None], people: Path, tmp_path: Path
) -> None:
    review = tmp_path / "review.csv"
    resubmit = ("rejects", "resubmit", "people:v1", people, review)
    first = told(environment, "run", "people:v1", people)["id"]
    call(environment, "runs", "results", first, "--kind", "rejects", "--output", review)
    second = told(environment, "run", "people:v1", people, "--force-rerun")["id"]
    review.write_text(review.read_text().replace(",x,Cy,", ",3,Cy,"))
    corrected = told(environment, *resubmit)
    assert corrected["metadata"]["corrects"] == {"run_id": second, "records": 1}
    assert told(environment, *resubmit)["id"] == corrected["id"]

    people.write_text(people.read_text().replace("x,Cy", "y,Cyd"))
    third = told(environment, "run", "people:v1", people, "--force-rerun")["id"]
    runs = told(environment, "runs", "list")["total"]
    refused = call(environment, *resubmit)
    assert (refused.exit_code, told(environment, "runs", "list")["total"]) == (1, runs)
    assert refused.stderr == (
        f"Error: {review}, row 3: it is a reject of run {first} (people:v1 on {str(people)!r}), and not the same one "
        f"in Lume run {third} (people:v1 on {str(people)!r}), which has read the batch that is to be corrected; "
        f"write the file anew from the rejects of run {third}, and correct that one\n"
    )
    review.write_text(review.read_text().replace(first, "run_of_another_lume"))
    assert (
        "row 3: its run_id is 'run_of_another_lume', a run that this Lume"
        in call(environment, *resubmit).stderr
    )
