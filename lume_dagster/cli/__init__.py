"""The command line, `lume-dagster`."""

from lume_dagster.cli.app import main

__all__ = ["main"]
