# SPDX-License-Identifier: MIT
"""
The options that trade one cost for another: each must do what it says, and change nothing else.

    tuning.py ACCEPT-SERVER PATH

Exits 77 if this kernel does not have the path.
"""

import socket
import struct
import sys
import time

from harness import ACCEPT_PATHS, BODY, GET_CLOSE, Server, ask, check, is_closed, main, only_if, supported

BINARY, PATH = sys.argv[1:3]


def server(*options):
    return Server(BINARY, "--accept", PATH, "--workers", "1", *options)


def segments_received(client):
    """How many segments this end of the connection has got: tcpi_segs_in of struct tcp_info."""
    return struct.unpack_from("I", client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 140)[0]


def fewest_segments(s, connections=20):
    """Of a whole connection with one request; an acknowledgement more may come at any time."""
    counts = []
    for _ in range(connections):
        with s.connect() as c:
            check(ask(c, GET_CLOSE)[::2] == (200, BODY), "not served")
            check(is_closed(c), "not closed behind the last answer")
            counts.append(segments_received(c))
    return min(counts)


def test_fin():
    """joined: the last answer and the end of the stream are one segment."""
    with server() as s:
        joined = fewest_segments(s)
    with server("--fin", "apart") as s:
        apart = fewest_segments(s)
    check(joined == apart - 1, f"{joined} segments joined, {apart} apart")


def answer_times(s, requests=10):
    """Seconds; on one connection, so that each request is a single event for the server."""
    times = []
    with s.connect() as c:
        for _ in range(requests):
            began = time.monotonic()
            check(ask(c)[::2] == (200, BODY), "not served")
            times.append(time.monotonic() - began)
    return times


def test_min_wait():
    """A single completion waits for its time, a batch does not."""
    only_if(ACCEPT_PATHS[PATH].ring, "no io_uring")
    with server("--min-wait", "60ms", "--min-batch", "64") as s:
        check(sum(answer_times(s)) > 0.4, "completions did not wait for others")
    with server("--min-wait", "60ms", "--min-batch", "1") as s:
        check(min(answer_times(s)) < 0.05, "a full batch waited")


def test_defer_accept():
    """A connection is accepted with its first bytes."""
    with server("--defer-accept", "10s") as s:
        with s.connect() as c:
            time.sleep(0.2)
            check(s.now()["accepts"] == 0, "accepted without a byte")
            check(ask(c, GET_CLOSE)[::2] == (200, BODY), "not served")
            check(s.now()["accepts"] == 1, "not accepted")


supported(BINARY, PATH)
main([test for name, test in list(globals().items()) if name.startswith("test_")])
