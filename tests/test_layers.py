"""Dependencies point one way: engine <- generator <- service; client <- the Dagster layer; urls <- all of them."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT

PACKAGE = PROJECT / "lume_dagster"
FORBIDDEN = {
    "engine": {
        "lume_dagster.generator",
        "lume_dagster.service",
        "lume_dagster.client",
        "dagster",
        "httpx",
        "starlette",
    },
    "generator": {
        "lume_dagster.service",
        "lume_dagster.client",
        "dagster",
        "httpx",
        "starlette",
        "sqlalchemy",
        "numpy",
        "pandas",
    },
    "service": {"lume_dagster.client", "dagster"},
    "client": {"lume_dagster.service", "lume_dagster.generator", "lume_dagster.engine", "dagster"},
    ".": {"lume_dagster.service", "lume_dagster.generator", "lume_dagster.engine"},
}
NEUTRAL = PACKAGE / "urls.py"
# The one place that opens the embedded Lume, and the command line, which serves it and checks flow files.
OPENERS = {
    PACKAGE / name
    for name in ("connect.py", "cli/app.py", "cli/create.py", "cli/create_answers.py", "cli/learn.py")
}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules_of(layer: str) -> Iterator[Path]:
    if layer != ".":
        yield from (PACKAGE / layer).glob("*.py")
        return
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] not in FORBIDDEN and path not in OPENERS:
            yield path


@pytest.mark.parametrize("layer", FORBIDDEN)
def test_a_layer_imports_nothing_above_it(layer: str) -> None:
    modules = list(modules_of(layer))
    assert modules
    found = {
        f"{path.name} imports {name}"
        for path in modules
        for name in imported(path)
        if path != PACKAGE / "__init__.py"
        if any(name == root or name.startswith(f"{root}.") for root in FORBIDDEN[layer])
        and not name.startswith(f"lume_dagster.{layer}")
    }
    if layer != ".":
        top = {
            path.name
            for path in modules
            for name in imported(path)
            if name.startswith("lume_dagster.") and name.split(".")[1] not in {*FORBIDDEN, NEUTRAL.stem}
        }
        assert top == set()
    assert found == set()


def test_what_all_layers_use_imports_none_of_them() -> None:
    assert not [name for name in imported(NEUTRAL) if name.startswith(("lume_dagster", "dagster"))]


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import lume_dagster.client", ["dagster", "duckdb", "sqlalchemy"]),
        ("import lume_dagster.cli", ["dagster", "duckdb", "sqlalchemy"]),
        ("import lume_dagster.engine", ["dagster", "httpx", "sqlalchemy"]),
        (
            "from lume_dagster import build_lume_assets, LumeResource",
            ["duckdb", "httpx", "pyarrow", "starlette"],
        ),
        (
            "from lume_dagster import target_schema; target_schema.table_schema({'properties': {'at': {}}})",
            ["httpx", "pyarrow"],
        ),
        ("import lume_dagster.generator.matching", ["dagster", "httpx", "sqlalchemy"]),
    ],
)
def test_what_is_not_needed_is_not_imported(statement: str, unwanted: list[str]) -> None:
    code = f"{statement}; import sys; print([name for name in {unwanted!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
