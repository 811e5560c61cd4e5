from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from pydantic import ValidationError

from lume_dagster import LumeResource
from lume_dagster.client import LumeError, LumeRun
from lume_dagster.connect import LumeConnection
from lume_dagster.testing import ScriptedLume


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "LUME_BASE_URL",
        "LUME_API_KEY",
        "LUME_HOME",
        "LUME_FLOWS",
        "LUME_STORE_URL",
        "LUME_MAX_UPLOAD",
    ):
        monkeypatch.delenv(name, raising=False)


def test_without_a_url_the_embedded_lume_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lume = LumeResource()
    assert lume.client.healthz().status == "ok"
    assert str(lume.connection) == f"embedded Lume (data in {tmp_path}/.lume, flows from {tmp_path}/flows)"


def test_the_environment_chooses_the_lume(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LUME_HOME", str(tmp_path / "elsewhere"))
    assert f"data in {tmp_path / 'elsewhere'}" in str(LumeConnection())
    with ScriptedLume(api_key="hunter2") as hosted:
        monkeypatch.setenv("LUME_BASE_URL", hosted.url)
        monkeypatch.setenv("LUME_API_KEY", "hunter2")
        assert not LumeConnection().is_embedded
        with LumeConnection().open() as client:
            assert client.flows() == ()
        assert hosted.asked("GET", "/v1/flows")[0].headers["lume-api-key"] == "hunter2"


def test_what_is_configured_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUME_BASE_URL", "https://other.example.com")
    assert (
        str(LumeResource(base_url="https://lume.example.com").connection)
        == "Lume at https://lume.example.com"
    )


def test_no_secret_is_shown() -> None:
    for address in ("user:hunter2@lume.example.com", "user:hunter2/x@lume", "lume.example.com/?key=hunter2"):
        lume = LumeResource(base_url=f"https://{address}", api_key="hunter3")
        for shown in (repr(lume), str(lume), str(lume.connection), repr(lume.connection)):
            assert "hunter" not in shown
    lume = LumeResource(base_url="https://user:hunter2@lume.example.com", api_key="hunter3")
    with pytest.raises(ValueError, match="user name or password") as error:
        _ = lume.client
    assert "hunter" not in str(error.value)


@pytest.mark.parametrize(
    ("told", "size"), [("", 1 << 30), ("1000", 1000), ("500MB", 500_000_000), ("2 GiB", 2 << 30)]
)
def test_the_environment_says_how_large_an_upload_may_be(
    monkeypatch: pytest.MonkeyPatch, told: str, size: int
) -> None:
    monkeypatch.setenv("LUME_MAX_UPLOAD", told)
    assert LumeConnection().embedded_settings().max_upload_bytes == size
    assert LumeConnection().embedded_settings("3kB").max_upload_bytes == 3000


@pytest.mark.parametrize("told", ["0", "-1", "much", "5 apples", "1e9"])
def test_a_size_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    monkeypatch.setenv("LUME_MAX_UPLOAD", told)
    with pytest.raises(LumeError, match=rf"LUME_MAX_UPLOAD .*{told!r} is no size; .* 500MB or 2GiB"):
        LumeConnection().open()


def test_the_embedded_lume_gets_no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LUME_API_KEY", "hunter2")
    assert LumeConnection(home=str(tmp_path)).open().healthz().status == "ok"


def test_one_client_serves_the_resource_until_its_end(tmp_path: Path) -> None:
    lume = LumeResource(home=str(tmp_path / "home"))
    first = lume.client
    assert lume.client is first
    lume.teardown_after_execution(dg.build_init_resource_context())
    assert lume.client is not first


def test_a_run_has_a_page_where_a_template_says_so() -> None:
    run = LumeRun(id="run_1", flow_version="p:v1", source_path="x", status="FAILED")
    assert LumeResource().url_of(run) is None
    assert LumeResource(run_url="https://app/runs/{run_id}").url_of(run) == "https://app/runs/run_1"
    with pytest.raises(ValidationError, match="run_id"):
        LumeResource(run_url="https://app/runs")


@pytest.mark.parametrize("option", [{"on_existing": "perhaps"}, {"wait_timeout_seconds": 0}, {"nonsense": 1}])
def test_faulty_options_are_refused(option: dict[str, object]) -> None:
    with pytest.raises((ValidationError, dg.DagsterInvalidInvocationError)):
        LumeResource(**option)  # type: ignore[arg-type]
