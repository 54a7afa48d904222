# SPDX-License-Identifier: MIT
"""The harness waits as long as the machine is slow, longer while something moves, and no longer than that."""

import time

import harness
from harness import Failure, check, eventually, main


def waited(condition, progress=lambda: None, seconds=0.2):
    """Whether eventually() saw CONDITION come true, and after how many seconds."""
    began = time.monotonic()
    try:
        eventually(condition, "not yet", seconds, progress)
        return True, time.monotonic() - began
    except Failure:
        return False, time.monotonic() - began


def machine(seconds):
    """Has the machine look like one that takes SECONDS for machine_seconds()."""
    harness.machine_seconds = lambda: seconds
    harness.SLOWNESS = harness.slowness()


def gives_up():
    machine(harness.REFERENCE_S)
    seen, took = waited(lambda: False)
    check(not seen and took >= 0.2, f"gave up after {took} s of 0.2")


def waits_on_a_slow_machine():
    machine(harness.REFERENCE_S * 5)
    seen, took = waited(lambda: False)
    check(not seen and took >= 1.0, f"gave up after {took} s of 1")


def waits_where_others_came_since():
    machine(harness.REFERENCE_S)
    harness.machine_seconds = lambda: harness.REFERENCE_S * 5
    seen, took = waited(lambda: False)
    check(not seen and took >= 1.0, f"gave up after {took} s of 1")


def waits_while_something_moves():
    machine(harness.REFERENCE_S)
    began = time.monotonic()
    seen, took = waited(lambda: time.monotonic() - began > 1.0, lambda: int((time.monotonic() - began) * 20))
    check(seen, f"gave up after {took} s in which there was progress")
    began = time.monotonic()
    seen, took = waited(lambda: False, lambda: min(5, int((time.monotonic() - began) * 20)))
    check(not seen and took >= 0.4, f"gave up after {took} s, 0.2 after the last progress")


def is_never_infinitely_slow():
    machine(1e9)
    check(harness.SLOWNESS == harness.SLOWEST, f"{harness.SLOWNESS} times as slow")
    machine(0.0)
    check(harness.SLOWNESS == 1.0, f"a fast machine is {harness.SLOWNESS} times as slow")


if __name__ == "__main__":
    main([gives_up, waits_on_a_slow_machine, waits_where_others_came_since, waits_while_something_moves,
          is_never_infinitely_slow])
