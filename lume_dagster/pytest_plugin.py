"""A pytest plugin: a scripted Lume as a fixture.

Switch it on in a `conftest.py`::

    pytest_plugins = ["lume_dagster.pytest_plugin"]
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lume_dagster.testing import ScriptedLume


@pytest.fixture
def scripted_lume(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedLume]:
    """A scripted Lume for one test, to which whatever takes its address from `LUME_BASE_URL` speaks."""
    with ScriptedLume() as lume:
        monkeypatch.setenv("LUME_BASE_URL", lume.url)
        yield lume
