"""`python -m lume_dagster.cli`: the command line without its script."""

from lume_dagster.cli.app import main

main()
