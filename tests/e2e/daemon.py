"""Dagster's daemon, with seconds where it idles for half a minute between two rounds of a backfill.

Started by its path with the arguments of `dagster-daemon`: tests of the real daemon then take seconds.
"""

from dagster._daemon import controller
from dagster._daemon.cli import main

if not isinstance(controller.DEFAULT_DAEMON_INTERVAL_SECONDS, int):
    raise SystemExit("the daemon's interval is no longer where this script shortens it")
controller.DEFAULT_DAEMON_INTERVAL_SECONDS = 2

if __name__ == "__main__":
    main()
