"""The batch sensor: each batch asked for once, and again when it is replaced."""

from __future__ import annotations

import os
import sqlite3
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lume_dagster import BatchFiles, BatchQuery, build_lume_batch_sensor
from lume_dagster.client import LumeError
from lume_dagster.config import FORCE_RERUN_TAG
from lume_dagster.sensors.batch_round import BatchRound, BatchState
from lume_dagster.sensors.batch_sensor import CHANGED_TAG

DAYS = dg.DailyPartitionsDefinition("2013-01-01", end_date="2013-02-01")
BATCHES = dg.DynamicPartitionsDefinition(name="batches")


@pytest.fixture
def instance() -> dg.DagsterInstance:
    return dg.DagsterInstance.ephemeral()


class Sensor:
    """A sensor and its cursor, as the daemon keeps it."""

    def __init__(
        self, instance: dg.DagsterInstance, batches: BatchFiles | BatchQuery, **options: object
    ) -> None:
        self.instance = instance
        self.definition = build_lume_batch_sensor(
            **{"name": "new", "batches": batches, "partitions_def": DAYS, "target": "*"} | options  # type: ignore[arg-type]
        )
        self.cursor: str | None = None

    def tick(self) -> dg.SensorResult:
        result = self.definition(dg.build_sensor_context(self.instance, cursor=self.cursor))
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        return result

    def asked(self) -> list[tuple[str | None, bool]]:
        return [
            (request.partition_key, request.tags.get(FORCE_RERUN_TAG) == "true")
            for request in self.tick().run_requests or ()
        ]


def files(folder: Path, settle_seconds: float = 0) -> BatchFiles:
    return BatchFiles(str(folder / "{partition_key}.csv"), settle_seconds=settle_seconds)


def write(folder: Path, key: str, text: str = "ID\n1\n") -> None:
    (folder / f"{key}.csv").write_text(text)


def test_each_new_file_is_asked_for_once_also_when_it_comes_late(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    sensor = Sensor(instance, files(tmp_path))
    assert sensor.asked() == []
    write(tmp_path, "2013-01-02")
    write(tmp_path, "2013-01-03")
    assert sensor.asked() == [("2013-01-02", False), ("2013-01-03", False)]
    assert sensor.asked() == []
    write(tmp_path, "2013-01-01")
    os.utime(tmp_path / "2013-01-01.csv", (0, 0))
    assert sensor.asked() == [("2013-01-01", False)]


def test_a_replaced_file_asks_for_a_forced_rerun_and_says_so(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    sensor = Sensor(instance, files(tmp_path))
    write(tmp_path, "2013-01-01")
    first = sensor.tick().run_requests or ()
    write(tmp_path, "2013-01-01", "ID\n1\n2\n")
    second = sensor.tick().run_requests or ()
    assert [request.tags for request in (*first, *second)] == [
        {},
        {FORCE_RERUN_TAG: "true", CHANGED_TAG: "true"},
    ]
    assert sensor.asked() == []


def test_a_file_that_is_put_back_as_it_was_is_run_again(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    sensor = Sensor(instance, files(tmp_path))
    keys = []
    for text in ("a", "bb", "a"):
        write(tmp_path, "2013-01-01", text)
        os.utime(tmp_path / "2013-01-01.csv", (len(text), len(text)))
        keys += [request.run_key for request in sensor.tick().run_requests or ()]
    assert len(set(keys)) == 3


def test_a_file_that_still_grows_is_waited_for(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("lume_dagster.sensors.batch_sensor.time.time", lambda: now[0])
    sensor = Sensor(instance, files(tmp_path, settle_seconds=30))
    asked = []
    for second in range(0, 90, 10):
        if second <= 40:
            write(tmp_path, "2013-01-01", "x" * (second + 1))
        now[0] = 1000.0 + second
        asked.append(len(sensor.tick().run_requests or ()))
    assert asked == [0, 0, 0, 0, 0, 0, 0, 1, 0]


def test_a_clock_that_is_set_back_does_not_hold_a_batch_for_long(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000_000.0]
    monkeypatch.setattr("lume_dagster.sensors.batch_sensor.time.time", lambda: now[0])
    sensor = Sensor(instance, files(tmp_path, settle_seconds=30))
    write(tmp_path, "2013-01-01")
    asked = []
    for moment in (1_000_000.0, 10.0, 20.0, 40.0):
        now[0] = moment
        asked.append(len(sensor.tick().run_requests or ()))
    assert asked == [0, 0, 0, 1]


def test_a_replaced_batch_waits_for_the_end_of_its_run(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    sensor = Sensor(instance, files(tmp_path))
    write(tmp_path, "2013-01-01")
    sensor.tick()
    run = dg.DagsterRun(
        "job",
        status=dg.DagsterRunStatus.STARTED,
        tags={"dagster/sensor_name": "new", "dagster/partition": "2013-01-01"},
    )
    instance.add_run(run)
    write(tmp_path, "2013-01-01", "other")
    assert sensor.asked() == []
    instance.report_run_canceled(run)
    assert sensor.asked() == [("2013-01-01", True)]


def test_what_is_no_partition_is_passed_over_and_named(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    sensor = Sensor(instance, files(tmp_path))
    for name in ("readme", "2014-01-01", ".2013-01-01"):
        write(tmp_path, name)
    (tmp_path / "2013-01-05.csv").mkdir()
    result = sensor.tick()
    assert not result.run_requests
    assert result.skip_reason is not None
    assert "2 are no partitions (2014-01-01, readme)" in str(result.skip_reason.skip_message)


def test_new_batches_become_dynamic_partitions(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    instance.add_dynamic_partitions("batches", ["known"])
    sensor = Sensor(instance, files(tmp_path), partitions_def=BATCHES)
    for name in ("known", "new [1]"):
        write(tmp_path, name)
    result = sensor.tick()
    assert [request.partition_key for request in result.run_requests or ()] == ["known", "new [1]"]
    assert [list(added.partition_keys) for added in result.dynamic_partitions_requests or ()] == [["new [1]"]]


def test_many_batches_are_asked_for_over_several_ticks(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    sensor = Sensor(instance, files(tmp_path), max_runs_per_tick=2)
    for day in range(1, 6):
        write(tmp_path, f"2013-01-0{day}")
    assert [len(sensor.asked()) for _ in range(4)] == [2, 2, 1, 0]


def test_a_folder_with_the_signs_of_a_pattern_in_its_name(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    folder = tmp_path / "in[co]*ming"
    folder.mkdir()
    write(folder, "2013-01-01")
    assert Sensor(instance, files(folder)).asked() == [("2013-01-01", False)]


def test_a_path_without_the_key_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has to hold \{partition_key\} once"):
        BatchFiles("incoming/*.csv")


@pytest.mark.parametrize(
    "place",
    [
        "ftp://bob:s3cret@host",
        "simplecache::https://s3cret@host",
        "abfs://bob:s3cret@account.dfs.core.windows.net",
        "s3://bob:s3cret/of@bucket",
    ],
)
def test_a_path_with_credentials_is_refused_and_not_shown(place: str) -> None:
    for path in (f"{place}/{{partition_key}}.csv", f"{place}/in.csv"):
        assert "s3cret" not in refusal(path)


def test_a_query_string_with_credentials_is_refused_and_not_shown() -> None:
    for query in ("access_key=bob&secret_key=s3cret", "region=eu&X-Amz-Signature=s3cret", "sv=1&sig=s3cret"):
        assert "s3cret" not in refusal(f"s3://bucket/{{partition_key}}.csv?{query}")


def refusal(path: str) -> str:
    with pytest.raises(ValueError, match="give them in storage_options") as refused:
        BatchFiles(path)
    return str(refused.value)


@pytest.mark.parametrize(
    "place",
    [
        "abfs://incoming@account.dfs.core.windows.net",
        "s3://bucket/me@host",
        "in@home",
        "s3://bucket?region=eu",
    ],
)
def test_a_path_with_another_at_sign_is_taken(place: str) -> None:
    path = f"{place}/{{partition_key}}.csv"
    assert str(BatchFiles(path)) == path


def test_the_batches_of_a_query(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVOICES", f"sqlite:///{tmp_path / 'invoices.db'}")
    with sqlite3.connect(tmp_path / "invoices.db") as database:
        database.execute("CREATE TABLE invoices (batch TEXT, changed TEXT)")
        database.execute("INSERT INTO invoices VALUES ('b1', '1'), ('b1', '2'), ('b2', '1')")
    sensor = Sensor(
        instance,
        BatchQuery("INVOICES", "SELECT batch, max(changed), count(*) FROM invoices GROUP BY batch"),
        partitions_def=BATCHES,
    )
    assert sensor.asked() == [("b1", False), ("b2", False)]
    assert sensor.asked() == []
    with sqlite3.connect(tmp_path / "invoices.db") as database:
        database.execute("INSERT INTO invoices VALUES ('b2', '1'), ('b3', '1')")
    assert sensor.asked() == [("b2", True), ("b3", False)]


def test_a_query_that_cannot_be_asked_tells_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    query = BatchQuery("INVOICES", "SELECT batch FROM nowhere")
    with pytest.raises(LumeError, match="set the environment variable INVOICES"):
        query.find()
    monkeypatch.setenv("INVOICES", "sqlite:///file:memory?secret=hunter2&mode=memory&uri=true")
    with pytest.raises(LumeError, match="no such table: nowhere") as told:
        query.find()
    assert "hunter2" not in str(told.value)


def test_a_strange_cursor_is_refused_with_the_remedy(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    sensor = Sensor(instance, files(tmp_path))
    sensor.cursor = "2013-01-01"
    with pytest.raises(dg.DagsterInvariantViolationError, match="clear it on the sensor's page"):
        sensor.tick()


KEYS = st.sampled_from("abc")
LISTINGS = st.lists(st.dictionaries(KEYS, st.sampled_from("123")), max_size=12)


@given(LISTINGS, st.integers(1, 3), st.lists(st.sets(KEYS), min_size=12, max_size=12))
def test_every_state_that_stays_is_asked_for_exactly_once(
    listings: list[dict[str, str]], limit: int, under_way: list[set[str]]
) -> None:
    state = BatchState()
    asked: list[tuple[str, str]] = []
    # At the end nothing is under way any more, and the last listing stays until all of it is asked for.
    rounds = [*zip(listings, under_way, strict=False), *[(listings[-1] if listings else {}, set[str]())] * 4]
    for number, (listing, busy) in enumerate(rounds):
        look = BatchRound(
            BatchState.read(state.written()),
            now=float(number),
            settle_seconds=0,
            limit=limit,
            is_partition=lambda _: True,
            under_way=lambda busy=busy: busy,
        )
        for key, mark in listing.items():
            look.see(key, mark)
        assert len(look.wanted) <= limit
        asked += [(wanted.key, wanted.mark) for wanted in look.wanted]
        state = look.next_state
    for key in "abc":
        marks = [mark for one, mark in asked if one == key]
        assert all(first != second for first, second in pairwise(marks))
        if listings and key in listings[-1]:
            assert marks[-1] == listings[-1][key]
