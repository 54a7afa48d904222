# SPDX-License-Identifier: MIT
"""
Clients that others wrote, against one accept path or several.

    others.py ACCEPT-SERVER curl|ab|h2load|siege|slowhttptest PATH...

Exits 77, with the reason, if the client is not installed, or if this kernel has none of the paths.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading

from harness import (BODY, GET_CLOSE, Failure, Server, ask, check, eventually_clean, is_supported, main)

BINARY, TOOL, PATHS = sys.argv[1], sys.argv[2], sys.argv[3:]
REQUESTS = 1000


def run(*command, seconds=120, text=None):
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(command, input=text, capture_output=True, timeout=seconds, check=False,
                              env={**os.environ, "HOME": home})
    out = (done.stdout + done.stderr).decode("latin-1")
    check(done.returncode == 0, f"{command} ends with {done.returncode}: {out[-2000:]}")
    return done.stdout, out


def number(out, pattern):
    match = re.search(pattern, out)
    check(match, f"no {pattern!r} in {out[-2000:]}")
    return int(match[1])


def curl(s, url):
    got, _ = run("curl", "-sSf", f"{url}/a", f"{url}/b", "--data-binary", "@-", text=b"z" * 200000)
    check(got == BODY * 2, f"two POSTs on one connection: {got!r}")
    got, _ = run("curl", "-sSf", "-H", "Expect: 100-continue", "--data-binary", "@-", url, text=b"z" * 1000000)
    check(got == BODY, f"a megabyte with permission: {got!r}")
    for options in (("--http1.0",), ("-H", "Connection: close"), ("-H", "X: " + "y" * 10000), ("--path-as-is",)):
        got, _ = run("curl", "-sSf", *options, f"{url}/../x?y")
        check(got == BODY, f"{options}: {got!r}")
    got, _ = run("curl", "-sS", "-o", os.devnull, "-w", "%{http_code}", "-X", "PUT", url)
    check(got == b"405", f"PUT: {got!r}")
    _, out = run("curl", "-sSfI", url)
    check("200 OK" in out, f"HEAD: {out}")
    check(s.now()["requests"] == 8, f"{s.now()['requests']} requests")


def ab(s, url):
    for options in ((), ("-k",), ("-k", "-i"), ("-p", os.path.abspath(__file__), "-T", "text/plain")):
        _, out = run("ab", "-q", "-s", "60", "-n", str(REQUESTS), "-c", "20", *options, f"{url}/")
        check(number(out, r"Complete requests: *(\d+)") == REQUESTS, out)
        check(number(out, r"Failed requests: *(\d+)") == 0 and "Non-2xx" not in out, out)
        check("-k" not in options or number(out, r"Keep-Alive requests: *(\d+)") == REQUESTS, out)
    check(s.now()["requests"] == 4 * REQUESTS, f"{s.now()['requests']} requests")


def h2load(s, url):
    for options in ((), ("-m", "10"), ("-H", "Connection: close")):
        _, out = run("h2load", "--h1", "-n", str(REQUESTS), "-c", "20", *options, f"{url}/")
        if options and options[0] == "-H":
            # It takes the end of a connection for a failure of what it would have sent next on it.
            check(number(out, r"status codes: (\d+) 2xx") >= 20, out)
        else:
            check(number(out, r"(\d+) succeeded") == REQUESTS and number(out, r"(\d+) errored") == 0, out)
    check(s.now()["requests_bad"] == 0, "bad requests")


def siege(s, url):
    _, out = run("siege", "--no-parser", "-b", "-c", "10", "-r", str(REQUESTS // 10), "-j", f"{url}/")
    check(number(out, r'"transactions":\s*(\d+)') == REQUESTS, out)
    check(number(out, r'"failed_transactions":\s*(\d+)') == 0, out)
    check(s.now()["requests"] == REQUESTS, f"{s.now()['requests']} requests")


def slowhttptest(s, url):
    """Slow headers, slow bodies, and clients that hardly read: others are served all the while."""
    for options in (("-H", "-i", "1"), ("-B", "-i", "1", "-s", "8192"), ("-X", "-w", "10", "-y", "20", "-n", "1", "-z", "1")):
        failures = []
        attack = threading.Thread(target=lambda options=options: failures.extend(attempt(*options, url)))
        attack.start()
        while attack.is_alive():
            with s.connect() as c:
                check(ask(c, GET_CLOSE)[::2] == (200, BODY), f"not served beside {options}")
            attack.join(0.1)
        check(not failures, f"{failures}")


def attempt(*arguments):
    *options, url = arguments
    try:
        run("slowhttptest", *options, "-c", "100", "-r", "100", "-l", "6", "-p", "2", "-u", f"{url}/")
        return []
    except (Failure, subprocess.TimeoutExpired) as failure:
        return [str(failure)]


def tries(path):
    def test():
        options = ("--request-timeout", "2s", "--idle-timeout", "2s") if TOOL == "slowhttptest" else ()
        with Server(BINARY, "--accept", path, "--workers", "2", "--park-timeout", "500ms", *options) as s:
            globals()[TOOL](s, f"http://{s.address[0]}:{s.address[1]}")
            eventually_clean(s, 3)
    test.__name__ = f"{TOOL} {path}"
    return test


if not shutil.which(TOOL):
    print(f"{TOOL} is not installed")
    sys.exit(77)
supported_paths = [path for path in PATHS if is_supported(BINARY, path)]
if not supported_paths:
    sys.exit(77)
main([tries(path) for path in supported_paths])
