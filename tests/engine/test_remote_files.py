"""Batches in object stores: a real S3 server on the loopback, and fsspec's own stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from lume_dagster.engine import BatchError, Engine, parse_flow
from tests.engine.conftest import one_field

SECRET = "hunter2-is-secret"
FLOW = parse_flow(one_field({"type": "integer"}, {"extract": "a"}), name="test", version="v1")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server, "AWS_CONFIG_FILE": str(tmp_path / "none"), "AWS_EC2_METADATA_DISABLED": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="batches")
    yield client
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def test_an_object_is_read_anew_each_time(engine: Engine, work: Path, s3: Any) -> None:
    uri = "s3://batches/2013/new day.csv"
    for count in (3, 200_000):
        s3.put_object(Bucket="batches", Key="2013/new day.csv", Body="a\n" + "1\n" * count)
        staged = engine.ingest(FLOW, uri, work)
        assert (staged.rows, staged.info.bytes_read) == (count, 2 + 2 * count)


def test_parquet_objects(engine: Engine, work: Path, s3: Any) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": [1, 2, 3]}), sink)
    s3.put_object(Bucket="batches", Key="x.parquet", Body=sink.getvalue().to_pybytes())
    assert engine.ingest(FLOW, "s3://batches/x.parquet", work).rows == 3


def test_what_is_not_there(engine: Engine, work: Path, s3: Any) -> None:
    with pytest.raises(BatchError, match=r"s3://batches/gone\.csv: there is no such file"):
        engine.ingest(FLOW, "s3://batches/gone.csv", work)
    with pytest.raises(BatchError, match="no such file"):
        engine.ingest(FLOW, "s3://nobody/gone.csv", work)


def test_a_store_that_cannot_be_reached(
    engine: Engine, work: Path, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(BatchError, match="the store cannot be read") as refused:
        engine.ingest(FLOW, "s3://batches/x.csv", work)
    assert SECRET not in str(refused.value)


def test_no_permission(engine: Engine, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/closed.csv", b"a\n1\n")

    def refuse(*args: Any, **options: Any) -> None:
        raise PermissionError("Forbidden")

    monkeypatch.setattr(type(memory), "open", refuse)
    with pytest.raises(BatchError, match="no permission to read it; see the credentials"):
        engine.ingest(FLOW, "memory://closed.csv", work)


def test_stores_of_fsspec(engine: Engine, work: Path) -> None:
    fsspec.filesystem("memory").pipe("/x.csv", b"a\n1\n2\n")
    assert engine.ingest(FLOW, "memory://x.csv", work).rows == 2
    (work / "x.csv").write_text("a\n1\n")
    assert engine.ingest(FLOW, f"file://{work}/x.csv", work).rows == 1


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("http://example.com/x.csv", "a batch lies in a file or under s3://"),
        ("simplecache::s3://batches/x.csv", "a batch lies in"),
        (f"s3://key:{SECRET}@batches/x.csv", "credentials have no place in a source_path"),
        (
            f"s3://batches/x.csv?access_key=key&secret_key={SECRET}",
            "credentials have no place in a source_path",
        ),
        (f"https://example.com/x?X-Amz-Signature={SECRET}", "credentials have no place in a source_path"),
        ("gs://batches/x.csv", "needs the package gcsfs"),
        ("abfs://incoming@account.dfs.core.windows.net/x.csv", "needs the package adlfs"),
    ],
)
def test_what_is_not_opened(engine: Engine, work: Path, uri: str, said: str) -> None:
    with pytest.raises(BatchError, match=said) as refused:
        engine.ingest(FLOW, uri, work)
    assert SECRET not in str(refused.value)
