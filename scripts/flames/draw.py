#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws what sample.py sampled: pictures, folded stacks, and the numbers under the pictures.

For scripts/flamegraph. Into --out go, for the paths A and B,

  A.svg, B.svg             where the server's time goes, one scale for both: the same number of
                           connections has the same width
  A-fd-table.svg, ...      the part of it inside the fd table's code, enlarged, again one scale
  A-to-B.svg               B's picture, coloured by the difference: red grew from A to B, blue shrank.
  B-to-A.svg               A's picture, coloured by B to A: what B lacks is seen only here
  A-waits.svg, ...         time spent waiting for file_lock by call path, where the kernel shows it
  numbers.svg              samples per connection inside the fd table's code, as bars
  *.folded.gz              the stacks, a line "stack samples" each (waits: nanoseconds)
  summary.json             what is below

summary.json, schema "accept-flames/1":

  schema, environment       as in the records of accept-bench
  pair                      [A, B]
  workers, fd_table, frequency_hz, turns, load
  unknown_max_percent       the bound that was kept
  paths                     of A and B, in this order:
    accept, connections, samples, server_cpu_us_per_connection
    unknown_percent         samples with a frame that has no name
    picture, fd_table_picture, folded
    under                   PART -> {samples, per_1000_connections, low, high}; low and high are the
                            95 % interval of a Poisson count, per 1000 connections. PART is
        allocation, close, replace   the code of the fd table that hands a number out, takes it back,
                                     puts another file over it; without the file that goes
        fd_table                     the sum of the three
        file_lock                    of it: taking and leaving file_lock
        file_lock_slow_path          of that: in the spin lock's slow path
        any_slow_path                the slow path of every spin lock
        socket_slow_path             of that: under the lock of a socket
    waits                   {visible: false, reason}, or {visible: true, connections, neighbours,
                            blind, workers: {contentions, wait_ns}, others: {...}, picture, folded}
                            of a turn of its own; others are the neighbours, further threads of the
                            server that open and close a file all the time, and give a worker
                            somebody to wait for. One scale for both; no pictures where
                            neither path waited
  differences               [{from, to, picture}, ...]
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import stacks as st

FLAMEGRAPH = ("/usr/share/perl5/Devel/NYTProf/flamegraph.pl", "flamegraph.pl")
SCHEMA = "accept-flames/1"
NEIGHBOUR = "neighbour"  # the name of the server's threads that only take the lock
WIDTH = 1200
NOTHING = "no_sample_inside_the_fd_table"
NO_WAIT = "nobody_waited"
NARROWEST = "0.8"  # pixels; what is narrower is left out

# The fixed palette: what the picture is about stands out, kernel and server are told apart.
COLOURS = {"file_lock": (240, 60, 140), "fd_table": (255, 128, 84), "kernel": (233, 224, 196),
           "server": (178, 205, 232), "unknown": (200, 200, 200)}


class Failure(Exception):
    """What went wrong, in a line."""


def flamegraph_pl():
    for name in FLAMEGRAPH:
        path = shutil.which(name)
        if path:
            return path
    raise Failure("no flamegraph.pl; run scripts/setup, which installs Debian's libdevel-nytprof-perl")


def samples_of(data, kallsyms):
    command = ["perf", "script", "-i", str(data), "-F", "comm,tid,ip,sym", "--no-inline"]
    if kallsyms.stat().st_size:
        command += ["--kallsyms", str(kallsyms)]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            errors="replace", check=False)
    if result.returncode:
        raise Failure(f"perf script cannot read {data}: {result.stderr.strip()[-300:]}")
    return st.fold(result.stdout.splitlines())


def shade(kind, name):
    """One hue a kind; neighbours differ a little, always in the same way for the same name."""
    step = sum(name.encode()) % 5 * 3
    return "rgb({},{},{})".format(*(max(c - step, 0) for c in COLOURS[kind]))


def palette(folded):
    colours = {"": shade("unknown", "")}  # the frame of all
    for stack in folded:
        for raw, name in zip(stack.split(";"), st.label(stack).split(";")):
            if name.endswith("@file_lock"):
                kind = "file_lock"
            elif st.plain(raw) in st.PART_OF:
                kind = "fd_table"
            elif st.plain(raw) == st.UNKNOWN:
                kind = "unknown"
            else:
                kind = "kernel" if raw.endswith(st.KERNEL) else "server"
            colours[name] = shade(kind, name)
    return "".join(f"{name}->{colour}\n" for name, colour in sorted(colours.items()))


def draw(out, lines, title, subtitle, unit, total, colours=None, narrowest=NARROWEST):
    """Runs flamegraph.pl. Its output depends on Perl's order of hashes, which is fixed here."""
    with tempfile.TemporaryDirectory() as folder:
        command = [flamegraph_pl(), "--title", title, "--width", str(WIDTH), "--countname", unit,
                   "--minwidth", narrowest, "--total", f"{total:.2f}"]
        if colours is not None:
            pathlib.Path(folder, "palette.map").write_text(colours)
            command.append("--cp")
        result = subprocess.run(
            ["perl", *command], input="\n".join(lines) + "\n", stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd=folder, check=False,
            env={**os.environ, "PERL_HASH_SEED": "0", "PERL_PERTURB_KEYS": "0"})
    height = re.search(r'<svg [^>]*?height="(\d+)"', result.stdout)
    if result.returncode or not height or not result.stdout.endswith("</svg>\n"):
        raise Failure(f"flamegraph.pl did not draw {out.name}: {result.stderr.strip()[-300:]}")
    # It draws one line of title, and its frames reach up to there: the rest stands at the bottom.
    second = (f'<text text-anchor="middle" x="{WIDTH // 2}" y="{int(height[1]) - 5}" font-size="11" '
              f'font-family="Verdana" fill="rgb(60,60,60)">{subtitle}</text>')
    # The notes of its script are for those who work on it; whose it is stays, in the file's head.
    picture = re.sub(r"(?m)^[ \t]*//.*\n", "", result.stdout.removesuffix("</svg>\n"))
    out.write_text(picture + second + "\n</svg>\n")


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def short_virtualisation(text):
    return escape("TCG, emulated" if "TCG" in text else text)


def shown(normalised, change=lambda stack: stack):
    """The stacks as they are drawn: file_lock by name, kernel frames without their mark."""
    merged = {}
    for stack, n in normalised.items():
        drawn = change(st.label(stack))
        merged[drawn] = merged.get(drawn, 0) + n
    return merged


def folded_lines(normalised):
    return [f"{stack} {n:.2f}" for stack, n in sorted(shown(normalised).items())]


def part(samples, connections):
    low, high = st.interval(samples)
    scale = 1000 / connections
    return {"samples": samples, "per_1000_connections": round(samples * scale, 4),
            "low": round(low * scale, 4), "high": round(high * scale, 4)}


class Path:
    """One accept path: its stacks and what is said of them."""

    def __init__(self, accept, sampled, source):
        self.accept = accept
        self.connections = sum(turn["connections"] for turn in sampled["turns"])
        self.turns = len(sampled["turns"])
        self.load = sampled["load"]
        self.waits = sampled.get("waits", {"visible": False, "reason": "not looked for"})
        self.stacks = st.collections.Counter()
        for turn in sampled["turns"]:
            self.stacks += samples_of(source / turn["data"], source / "kallsyms")
        self.counts = st.count(self.stacks)
        if not self.counts["all"]:
            raise Failure(f"no sample of {accept}: was the load too short? More --connections")
        self.normal = st.normalise(self.stacks, self.connections)
        self.unknown = 100 * self.counts["unknown"] / self.counts["all"]

    def fd_table(self):
        return {stack: n for stack, n in self.normal.items() if st.place(stack)}


def summary_of(path, frequency):
    names = ("allocation", "close", "replace", "fd_table", "file_lock", "file_lock_slow_path",
             "any_slow_path", "socket_slow_path")
    return {
        "accept": path.accept, "connections": path.connections, "samples": path.counts["all"],
        "server_cpu_us_per_connection":
            round(path.counts["all"] * 1e6 / frequency / path.connections, 3),
        "unknown_percent": round(path.unknown, 3), "picture": f"{path.accept}.svg",
        "fd_table_picture": f"{path.accept}-fd-table.svg", "folded": f"{path.accept}.folded.gz",
        "under": {name: part(path.counts[name], path.connections) for name in names},
        "waits": path.waits}


def check_unknown(paths, limit):
    for path in paths:
        print(f"{path.accept}: {path.counts['all']} samples of {path.connections} connections, "
              f"{path.unknown:.2f} % with an [unknown] frame", file=sys.stderr)
    for path in paths:
        if path.unknown > limit:
            raise Failure(
                f"{path.unknown:.2f} % of the samples of {path.accept} have an [unknown] frame, "
                f"more than --unknown-max {limit}: is the server stripped, or /proc/kallsyms hidden "
                "(kernel.kptr_restrict)?")


class Pictures:
    def __init__(self, options, description, a, b):
        self.out = options.out
        self.a, self.b = a, b
        environment = description["environment"]
        self.where = (
            f"{description['workers']} workers, {description['fd_table']} fd table, Linux "
            f"{escape(environment['kernel_release'])}, {short_virtualisation(environment['virtualisation'])}, "
            f"revision {escape(environment['revision'])}")

    def subtitle(self, path, what="samples"):
        return f"{self.where}; {path.counts['all']} {what} of {path.connections} connections"

    def both(self, path):
        """Whole, and enlarged; A and B on one scale."""
        total = max(sum(p.normal.values()) for p in (self.a, self.b))
        part_total = max(sum(p.fd_table().values()) for p in (self.a, self.b))
        unit = "samples per million connections"
        draw(self.out / f"{path.accept}.svg", folded_lines(path.normal), f"accept path {path.accept}",
             self.subtitle(path), unit, total, palette(path.stacks))
        enlarged = path.fd_table()
        lines = folded_lines(enlarged) or [f"{NOTHING} {part_total or 1:.2f}"]
        draw(self.out / f"{path.accept}-fd-table.svg", lines,
             f"{path.accept}: inside the fd table, {total / (part_total or total):.0f} times enlarged",
             f"{self.where}; {path.counts['fd_table']} of {path.counts['all']} samples, "
             f"{path.connections} connections",
             unit, part_total or 1, palette(enlarged) + f"{NOTHING}->{shade('unknown', '')}\n",
             narrowest="0.1")

    def difference(self, before, after):
        """The picture of `after`, coloured by what changed on the way from `before`."""
        total = max(sum(p.normal.values()) for p in (self.a, self.b))
        name = f"{before.accept}-to-{after.accept}.svg"
        draw(self.out / name, st.difference(shown(before.normal, st.from_same_work),
                                             shown(after.normal, st.from_same_work)),
             f"from {before.accept} to {after.accept}: {after.accept}'s samples; red has grown, blue has shrunk",
             f"{self.where}; {before.counts['all']} and {after.counts['all']} samples of "
             f"{before.connections} and {after.connections} connections",
             "samples per million connections", total)
        return {"from": before.accept, "to": after.accept, "picture": name}

    def waits(self):
        """Both paths on one scale; nothing is drawn where no path waited."""
        folded = {path.accept: add_up_waits(path) for path in (self.a, self.b) if path.waits["visible"]}
        if not any(folded.values()):
            return
        normal = {accept: st.normalise(stacks, path.waits["connections"])
                  for (accept, stacks), path in zip(folded.items(), (self.a, self.b))}
        total = max(sum(stacks.values()) for stacks in normal.values())
        for path in (self.a, self.b):
            name = f"{path.accept}-waits"
            st.write(self.out / f"{name}.folded.gz", folded[path.accept])
            draw(self.out / f"{name}.svg",
                 folded_lines(normal[path.accept]) or [f"{NO_WAIT} {total:.2f}"],
                 f"{path.accept}: waiting for file_lock, by thread and call path",
                 f"{self.where}; {path.waits['workers']['contentions']} waits of workers in "
                 f"{path.waits['connections']} connections, {path.waits['others']['contentions']} of "
                 f"neighbours ({path.waits['neighbours']})",
                 "ns per million connections", total,
                 palette(folded[path.accept]) + f"{NO_WAIT}->{shade('unknown', '')}\n", narrowest="0.1")
            path.waits["picture"], path.waits["folded"] = f"{name}.svg", f"{name}.folded.gz"


def add_up_waits(path):
    """Nanoseconds by stack; the sums of workers and of others go into the path's waits."""
    folded = st.collections.Counter()
    sums = {who: {"contentions": 0, "wait_ns": 0} for who in ("workers", "others")}
    for entry in path.waits.pop("stacks", []):
        who = sums["others" if entry["stack"].startswith(NEIGHBOUR + ";") else "workers"]
        who["contentions"] += entry["n"]
        who["wait_ns"] += entry["wait_ns"]
        folded[entry["stack"]] += entry["wait_ns"]
    path.waits.update(sums)
    return folded


BARS = (("allocation", "allocation"), ("close", "close"), ("replace", "replace"),
        ("file_lock", "of these, file_lock"), ("file_lock_slow_path", "of that, slow path"))
BAR_COLOURS = ("#c44e52", "#2a7f62")


def bars(out, summary):
    """Both paths side by side, with the intervals: what is to be seen in ten seconds."""
    left, space, row, top = 200, 400, 20, 56
    paths = summary["paths"]
    most = max(path["under"][part]["high"] for path in paths for part, _ in BARS)
    lines = ['<text x="12" y="20" font-size="15">Samples inside the fd table\'s code per 1000 connections</text>']
    for i, path in enumerate(paths):
        lines.append(f'<rect x="{12 + 160 * i}" y="32" width="12" height="12" fill="{BAR_COLOURS[i]}"/>'
                     f'<text x="{30 + 160 * i}" y="42">{escape(path["accept"])}</text>')
    y = top
    for part, name in BARS:
        lines.append(f'<text x="{left - 8}" y="{y + row + 4}" text-anchor="end">{name}</text>')
        for i, path in enumerate(paths):
            got = path["under"][part]
            value, low, high = (left + got[key] * space / most for key in ("per_1000_connections", "low", "high"))
            middle = y + row / 2
            lines.append(
                f'<rect x="{left}" y="{y + 2}" width="{value - left:.1f}" height="{row - 4}" fill="{BAR_COLOURS[i]}"/>'
                f'<path d="M{low:.1f} {middle - 4}v8M{low:.1f} {middle}H{high:.1f}M{high:.1f} {middle - 4}v8" '
                f'stroke="#000" fill="none"/>'
                f'<text x="{high + 8:.1f}" y="{y + 15}">{got["per_1000_connections"]:.3f} '
                f'({got["samples"]} samples)</text>')
            y += row
        y += 8
    environment = summary["environment"]
    lines.append(f'<text x="12" y="{y + 14}" font-size="11">Linux {escape(environment["kernel_release"])}, '
                 f'{short_virtualisation(environment["virtualisation"])}, {summary["workers"]} workers; '
                 f'whiskers: 95 % intervals of the counts</text>')
    out.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="820" height="{y + 26}" viewBox="0 0 820 {y + 26}" '
                   f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="#fff"/>\n'
                   + "\n".join(lines) + "\n</svg>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--in", dest="source", required=True, type=pathlib.Path, help="folder of sample.py")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="an empty folder")
    parser.add_argument("--unknown-max", type=float, required=True, metavar="PERCENT")
    options = parser.parse_args()
    description = json.loads((options.source / "sample.json").read_text())
    a, b = (Path(accept, sampled, options.source) for accept, sampled in description["paths"].items())
    check_unknown((a, b), options.unknown_max)
    pictures = Pictures(options, description, a, b)
    for path in (a, b):
        st.write(options.out / f"{path.accept}.folded.gz", path.stacks)
        pictures.both(path)
    pictures.waits()
    summary = {
        "schema": SCHEMA, "environment": description["environment"], "pair": [a.accept, b.accept],
        "workers": description["workers"], "fd_table": description["fd_table"],
        "frequency_hz": description["frequency_hz"], "turns": a.turns, "load": a.load,
        "unknown_max_percent": options.unknown_max,
        "paths": [summary_of(path, description["frequency_hz"]) for path in (a, b)],
        "differences": [pictures.difference(a, b), pictures.difference(b, a)]}
    bars(options.out / "numbers.svg", summary)
    (options.out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except (Failure, st.Broken, OSError, KeyError, ValueError) as failure:
        sys.exit(f"draw: {failure}")
