from __future__ import annotations

import pytest

import lume_dagster.client as lume
from lume_dagster.client import AuthenticationError, LumeError, default
from lume_dagster.testing import RunScript, ScriptedLume


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default, "_client", None)
    for name in ("LUME_BASE_URL", "LUME_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_lume_the_error_says_what_to_set() -> None:
    with pytest.raises(LumeError, match=r"LUME_BASE_URL.*LumeConnection\(\)\.open\(\)"):
        lume.run("people:v1", "x")
    with pytest.raises(LumeError, match="LUME_BASE_URL"):
        lume.init("key")


def test_the_environment_says_which_lume(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedLume(RunScript(["SUCCEEDED"]), api_key="hunter2") as server:
        monkeypatch.setenv("LUME_BASE_URL", server.url)
        monkeypatch.setenv("LUME_API_KEY", "hunter2")
        run = lume.run("people:v1", "x", run_metadata={"ticket": 7})
        assert lume.run_status(run.id).run_metadata["ticket"] == 7


def test_init_says_which_lume_and_how(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedLume(
        api_key="hunter2", flows=[{"name": "p", "version": "v1", "flow_version": "p:v1"}]
    ) as server:
        lume.init(api_key="hunter2", request_timeout=3, base_url=server.url)
        assert lume.flow("p").flow_version == "p:v1"
        lume.init(api_key="wr0ng", base_url=server.url)
        with pytest.raises(AuthenticationError) as refused:
            lume.flow("p")
        assert "wr0ng" not in str(refused.value)
