"""The database reaches nothing but its directories, and nothing can change that."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from lume_dagster.engine import EngineError, EngineSettings
from lume_dagster.engine.cage import Cage


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "secret.csv").write_text("a\nsecret\n")
    (home / "link.csv").symlink_to(tmp_path / "secret.csv")
    (home / "mine.csv").write_text("a\nmine\n")
    return home


@pytest.mark.parametrize("configured", [True, False])
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_csv('{home}/../secret.csv')",
        "SELECT * FROM read_text('{home}-other')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_csv('{home}/link.csv')",
        "SELECT * FROM glob('/etc/*')",
        "COPY (SELECT 1) TO '{home}/../out.csv'",
        "ATTACH '{home}/../x.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
        "SELECT * FROM read_csv('s3://bucket/x.csv')",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "SET memory_limit = '100GB'",
        "RESET lock_configuration",
        "SELECT * FROM home",
        "EXPORT DATABASE '{home}/../dump'",
    ],
)
def test_what_is_denied(home: Path, statement: str, configured: bool) -> None:
    cage = Cage(EngineSettings(directories=(home,) if configured else ()))
    with pytest.raises((duckdb.Error, EngineError)), cage.cursor(home) as cursor:
        cursor.execute(statement.replace("{home}", str(home)))
    cage.close()
    assert sorted(path.name for path in home.parent.iterdir()) == ["home", "secret.csv"]


def test_a_link_out_is_not_followed_by_the_engine(home: Path) -> None:
    cage = Cage(EngineSettings(directories=(home,)))
    (home / "out").symlink_to(home.parent)
    with pytest.raises(EngineError, match="outside the directories"), cage.cursor(home / "out"):
        pass
    cage.close()


def test_what_is_allowed(home: Path) -> None:
    cage = Cage(EngineSettings(directories=(home,)))
    with cage.cursor(home) as cursor:
        assert cursor.execute("SELECT * FROM read_csv($1)", [str(home / "mine.csv")]).fetchall() == [
            ("mine",)
        ]
        assert cursor.execute("SELECT current_setting('TimeZone')").fetchone() == ("UTC",)
    cage.close()


def test_temporary_tables_and_variables_end_with_the_cursor(home: Path) -> None:
    cage = Cage(EngineSettings(directories=(home,)))
    with cage.cursor(home) as cursor:
        cursor.execute("CREATE TEMP TABLE x AS SELECT 1")
        cursor.execute("SET VARIABLE y = 1")
    with cage.cursor(home) as cursor:
        assert cursor.execute("SELECT getvariable('y')").fetchone() == (None,)
        with pytest.raises(duckdb.CatalogException):
            cursor.execute("SELECT * FROM x")
    cage.close()
