"""Dagster's daemon, with seconds where it idles for half a minute between two rounds of a backfill.

Sensors are looked at every other second, where it looks every five.

Started by its path with the arguments of `dagster-daemon`: tests of the real daemon then take seconds.
"""

from dagster._daemon import controller, sensor
from dagster._daemon.cli import main

if not isinstance(controller.DEFAULT_DAEMON_INTERVAL_SECONDS, int) or not isinstance(
    sensor.MIN_INTERVAL_LOOP_TIME, int
):
    raise SystemExit("the daemon's intervals are no longer where this script shortens them")
controller.DEFAULT_DAEMON_INTERVAL_SECONDS = 2
sensor.MIN_INTERVAL_LOOP_TIME = 2

if __name__ == "__main__":
    main()
