# SPDX-License-Identifier: MIT
"""Folded stacks: made from `perf script`, counted by what they pass through, compared.

A folded stack is the frames from the outermost to the innermost, joined by semicolons; a kernel's
frame ends in "_[k]", as in stackcollapse-perf.pl --kernel. Stacks are held in a Counter: folded
stack -> samples. Files of them are gzip, a line "stack samples" each, and the same stacks give the
same bytes.
"""

import collections
import gzip
import io
import math
import re

KERNEL = "_[k]"
UNKNOWN = "[unknown]"
KERNEL_ADDRESS = 1 << 63
PER = 1000000  # connections that a picture is normalised to

# What the fd table's code is called, in kernels from 6.1 on. The part that a frame belongs to is
# decided by the outermost of them.
PARTS = {
    "allocation": {"alloc_fd", "get_unused_fd_flags", "put_unused_fd", "fd_install",
                   "receive_fd", "expand_files", "get_unused_fd"},
    "close": {"file_close_fd", "file_close_fd_locked", "close_fd", "pick_file",
              "close_fd_get_file"},
    "replace": {"replace_fd", "do_dup2", "ksys_dup3", "receive_fd_replace"},
}
PART_OF = {name: part for part, names in PARTS.items() for name in names}
# io_uring's close takes file_lock itself; that frame alone is no sign of it, since the close of a
# slot passes through it, too.
LOCKS_ITSELF = {"io_close": "close"}
# What such a function calls and the table has no part in: the file that goes, an interrupt that
# came in between, another task's turn.
ELSEWHERE = re.compile(
    r"(filp_close|filp_flush|__receive_sock|__?fput\w*|security_\w+|fsnotify_\w+|asm_\w*|sysvec_\w+|irq_exit\w*"
    r"|__irq_exit\w*|preempt_schedule\w*|__schedule|schedule|__cond_resched|task_work_add)$")
# Where the same work begins on every accept path, whatever called it: a difference of two paths is
# drawn from there on, or it would be two graphs with nothing in common.
SAME_WORK = {"sock_recvmsg", "tcp_recvmsg", "sock_sendmsg", "tcp_sendmsg", "do_accept", "inet_accept",
             "inet_csk_accept", "__fput", "inet_shutdown", "tcp_shutdown", "filp_close", "filp_flush"}
OWN = "what_only_this_path_does"
# (_raw_spin_lock jumps to its slow path, and is then not on the stack.)
LOCK = re.compile(r"(_raw_spin_(un)?lock|\w*spin_lock_slowpath|__raw_callee_save___pv_queued_spin_unlock)$")
SLOW_PATH = re.compile(r"\w*spin_lock_slowpath$")
# A socket has a spinlock of its own, which the softirq that brings its data takes as well.
SOCKET_LOCK = re.compile(r"(_*lock_sock\w*|release_sock)$")


class Broken(Exception):
    """Input that is not what it is said to be."""


def fold(lines):
    """`perf script -F comm,tid,ip,sym --no-inline` to folded stacks."""
    stacks = collections.Counter()
    frames = []
    for line in lines:
        line = line.rstrip("\n")
        if line and not line[0].isspace():
            continue  # the head of a sample: task and thread
        words = line.split(None, 1)
        if words:
            name = words[1].replace(";", ":").replace(" ", "_") if len(words) > 1 else UNKNOWN
            try:
                kernel = int(words[0], 16) >= KERNEL_ADDRESS
            except ValueError:
                raise Broken(f"not a line of perf script: {line!r}") from None
            frames.append(name + KERNEL if kernel else name)
        elif frames:
            stacks[";".join(reversed(frames))] += 1
            frames = []
    if frames:
        stacks[";".join(reversed(frames))] += 1
    return stacks


def write(path, stacks):
    text = "".join(f"{stack} {n}\n" for stack, n in sorted(stacks.items()))
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, filename="") as out:
        out.write(text.encode())
    path.write_bytes(buffer.getvalue())


def read(path):
    opener = gzip.open if path.suffix == ".gz" else open
    stacks = collections.Counter()
    with opener(path, "rt", encoding="utf-8") as lines:
        for i, line in enumerate(lines, 1):
            stack, _, n = line.rstrip("\n").rpartition(" ")
            if not stack or not n.isdigit():
                raise Broken(f"{path} line {i}: not 'STACK SAMPLES': {line.rstrip()!r}")
            stacks[stack] += int(n)
    return stacks


def plain(frame):
    """A frame's name without its mark, and without what the compiler appended."""
    return re.sub(r"\.(constprop|isra|part|cold)(\.\d+)?$", "", frame.removesuffix(KERNEL))


def place(stack):
    """Where a stack ends in the fd table's code: (part, index of its first frame); None if it
    does not end there."""
    frames = [plain(frame) for frame in stack.split(";")]
    for i, frame in enumerate(frames):
        part = PART_OF.get(frame)
        if not part and i + 1 < len(frames) and LOCK.match(frames[i + 1]):
            part = LOCKS_ITSELF.get(frame)
        if part:
            inner = frames[i + 1:]
            return None if any(ELSEWHERE.match(name) for name in inner) else (part, i)
    return None


def label(stack):
    """The same stack with file_lock named where the fd table's code takes and leaves it: a spin
    lock that one of its functions calls directly is that one."""
    where = place(stack)
    frames = [frame.removesuffix(KERNEL) for frame in stack.split(";")]
    if not where:
        return ";".join(frames)
    for i in range(where[1] + 1, len(frames)):
        if LOCK.match(plain(frames[i])) and (plain(frames[i - 1]) in PART_OF or
                                             plain(frames[i - 1]) in LOCKS_ITSELF):
            frames[i:] = [frame + "@file_lock" for frame in frames[i:]]
            break
    return ";".join(frames)


def from_same_work(stack):
    """A plain stack from the outermost frame on that does the same work on every path."""
    frames = stack.split(";")
    for i, frame in enumerate(frames):
        if frame in SAME_WORK or frame in PART_OF:
            return ";".join(frames[i:])
    return ";".join([OWN, *frames])


def count(stacks):
    """Samples under each part of the fd table's code, under its lock, and what is unknown."""
    result = collections.Counter({name: 0 for name in (
        "all", "unknown", "allocation", "close", "replace", "fd_table", "file_lock",
        "file_lock_slow_path", "any_slow_path", "socket_slow_path")})
    for stack, n in stacks.items():
        names = [plain(frame) for frame in stack.split(";")]
        slow = any(SLOW_PATH.match(name) for name in names)
        result["all"] += n
        result["unknown"] += n if UNKNOWN in names else 0
        result["any_slow_path"] += n if slow else 0
        if slow and any(SOCKET_LOCK.match(name) for name in names):
            result["socket_slow_path"] += n
        where = place(stack)
        if where:
            locked = "@file_lock" in label(stack)
            result[where[0]] += n
            result["fd_table"] += n
            result["file_lock"] += n if locked else 0
            result["file_lock_slow_path"] += n if locked and slow else 0
    return result


def only_fd_table(stacks):
    return collections.Counter({stack: n for stack, n in stacks.items() if place(stack)})


def normalise(stacks, connections):
    """Samples to samples per million connections."""
    if connections < 1:
        raise Broken("no connections to normalise to")
    return {stack: n * PER / connections for stack, n in stacks.items()}


def difference(before, after):
    """Lines "stack before after" for flamegraph.pl, which draws the second in the colours of the
    difference. Both are normalised already."""
    return [f"{stack} {before.get(stack, 0):.2f} {after.get(stack, 0):.2f}"
            for stack in sorted(before.keys() | after.keys())]


def interval(n):
    """The 95 % interval of a Poisson count's mean: the exact one, within 1 % (Wilson-Hilferty)."""
    z = 1.959964
    low = n * (1 - 1 / (9 * n) - z / (3 * math.sqrt(n))) ** 3 if n else 0.0
    m = n + 1
    return max(low, 0.0), m * (1 - 1 / (9 * m) + z / (3 * math.sqrt(m))) ** 3
