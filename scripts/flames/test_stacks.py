#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Folding, counting, normalising and comparing, on stacks whose answers are known; and the pictures
that draw.py makes of them, where flamegraph.pl is installed."""

import collections
import pathlib
import re
import tempfile
import unittest

import draw
import stacks as st

SCRIPT = """\
accept-server  4711
\tffffffff8226ec50 _raw_spin_lock
\tffffffff81706620 alloc_fd
\tffffffff81e80478 __sys_accept4
\t          10afa8 accept4
\t            561c run

accept-server  4712
\tffffffff8226ec50 _raw_spin_lock
\tffffffff81706620 alloc_fd
\tffffffff81e80478 __sys_accept4
\t          10afa8 accept4
\t            561c run

accept-server  4712
\t            0 [unknown]
\t            561c operator new(unsigned long)
"""

ACCEPT = "run;accept4;__sys_accept4_[k];alloc_fd_[k]"
CLOSE = "run;__close;__x64_sys_close_[k];file_close_fd_[k]"
LOCK = "_raw_spin_lock_[k]"
SLOW = "native_queued_spin_lock_slowpath_[k]"
DUP = "run;io_uring_enter;io_dup_[k];replace_fd_[k]"

EPOLL = collections.Counter({
    ACCEPT: 10,
    f"{ACCEPT};{LOCK}": 4,
    f"{ACCEPT};{LOCK};{SLOW}": 2,
    f"{ACCEPT};expand_files_[k];kmalloc_[k];{LOCK}": 1,  # in the fd table, but not its lock
    f"{ACCEPT};asm_sysvec_apic_timer_interrupt_[k];tick_[k]": 8,  # came in between
    f"{CLOSE};file_close_fd_locked.part.0_[k]": 5,
    f"{CLOSE};{LOCK}": 3,
    "run;__close;__x64_sys_close_[k];__fput_[k];sock_close_[k]": 20,
    f"run;__send;tcp_sendmsg_[k];{LOCK};{SLOW}": 4,  # another lock
    f"run;__send;tcp_sendmsg_[k];lock_sock_nested_[k];{LOCK};{SLOW}": 3,  # that of a socket
    "[unknown];memcmp": 40,
})

DUP_PATH = collections.Counter({
    DUP: 6,
    f"{DUP};do_dup2_[k];{LOCK};{SLOW}": 1,
    f"{DUP};do_dup2_[k];filp_close_[k];__fput_[k]": 9,  # the file that goes
    f"run;io_uring_enter;io_close_[k];{LOCK}": 2,
    "run;io_uring_enter;io_close_[k];__io_close_fixed_[k]": 11,  # a slot: no fd table
})


class Folding(unittest.TestCase):
    def test_perf_script(self):
        self.assertEqual(st.fold(SCRIPT.splitlines()), {
            "run;accept4;__sys_accept4_[k];alloc_fd_[k];_raw_spin_lock_[k]": 2,
            "operator_new(unsigned_long);[unknown]": 1})

    def test_last_sample_without_an_empty_line(self):
        self.assertEqual(st.fold(SCRIPT.rstrip("\n").splitlines()), st.fold(SCRIPT.splitlines()))

    def test_nothing(self):
        self.assertEqual(st.fold([]), {})

    def test_not_of_perf(self):
        with self.assertRaisesRegex(st.Broken, "not a line of perf script"):
            st.fold(["task 1", "\tzzz name", ""])

    def test_file_and_back(self):
        with tempfile.TemporaryDirectory() as folder:
            one, two = pathlib.Path(folder, "one.gz"), pathlib.Path(folder, "two.gz")
            st.write(one, EPOLL)
            st.write(two, collections.Counter(dict(reversed(EPOLL.items()))))
            self.assertEqual(st.read(one), EPOLL)
            self.assertEqual(one.read_bytes(), two.read_bytes())

    def test_broken_file(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "broken")
            path.write_text("a;b 1\na;b one\n")
            with self.assertRaisesRegex(st.Broken, "broken line 2"):
                st.read(path)


class Counting(unittest.TestCase):
    def test_epoll(self):
        self.assertEqual(st.count(EPOLL), {
            "all": 100, "unknown": 40, "allocation": 17, "close": 8, "replace": 0, "fd_table": 25,
            "file_lock": 9, "file_lock_slow_path": 2, "any_slow_path": 9, "socket_slow_path": 3})

    def test_dup(self):
        self.assertEqual(st.count(DUP_PATH), {
            "all": 29, "unknown": 0, "allocation": 0, "close": 2, "replace": 7, "fd_table": 9,
            "file_lock": 3, "file_lock_slow_path": 1, "any_slow_path": 1, "socket_slow_path": 0})

    def test_nothing(self):
        self.assertEqual(set(st.count({}).values()), {0})

    def test_parts_add_up(self):
        for stacks in (EPOLL, DUP_PATH):
            counts = st.count(stacks)
            self.assertEqual(sum(st.only_fd_table(stacks).values()), counts["fd_table"])
            self.assertEqual(sum(counts[name] for name in st.PARTS), counts["fd_table"])

    def test_label(self):
        self.assertEqual(st.label(f"{ACCEPT};{LOCK};{SLOW}"),
                         "run;accept4;__sys_accept4;alloc_fd;_raw_spin_lock@file_lock;"
                         "native_queued_spin_lock_slowpath@file_lock")
        self.assertEqual(st.label(f"run;__send;tcp_sendmsg_[k];{LOCK}"),
                         "run;__send;tcp_sendmsg;_raw_spin_lock")


class Comparing(unittest.TestCase):
    def test_normalise(self):
        self.assertEqual(st.normalise({"a": 3, "b": 1}, 2000), {"a": 1500, "b": 500})
        with self.assertRaises(st.Broken):
            st.normalise({"a": 3}, 0)

    def test_difference_in_both_directions(self):
        before, after = st.normalise({"a;b": 10, "a;c": 4}, 1000), st.normalise({"a;b": 10}, 2000)
        self.assertEqual(st.difference(before, after),
                         ["a;b 10000.00 5000.00", "a;c 4000.00 0.00"])
        self.assertEqual(st.difference(after, before),
                         ["a;b 5000.00 10000.00", "a;c 0.00 4000.00"])

    def test_same_work(self):
        self.assertEqual(st.from_same_work("run;__send;tcp_sendmsg;x"), "tcp_sendmsg;x")
        self.assertEqual(st.from_same_work("run;io_uring_enter;io_send;tcp_sendmsg;x"), "tcp_sendmsg;x")
        self.assertEqual(st.from_same_work("run;wait"), f"{st.OWN};run;wait")

    def test_interval(self):
        # The exact 95 % intervals of a Poisson count.
        for n, low, high in ((0, 0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.39), (100, 81.36, 121.63)):
            got = st.interval(n)
            self.assertAlmostEqual(got[0], low, delta=0.02 + low / 100)
            self.assertAlmostEqual(got[1], high, delta=high / 100 + 0.05 * (n == 0))


class Drawing(unittest.TestCase):
    def setUp(self):
        try:
            draw.flamegraph_pl()
        except draw.Failure as failure:
            self.skipTest(str(failure))

    def test_picture(self):
        with tempfile.TemporaryDirectory() as folder:
            texts = []
            for name in ("one.svg", "two.svg"):
                path = pathlib.Path(folder, name)
                draw.draw(path, draw.folded_lines(st.normalise(EPOLL, 1000)), "epoll", "of 1000", "samples",
                          200000, draw.palette(EPOLL))
                texts.append(path.read_text())
            self.assertEqual(texts[0], texts[1])
            # 25 of 100 samples; the picture is twice as wide as they are.
            self.assertIn("alloc_fd (25,000 samples, 12.50%)", texts[0])
            self.assertIn("_raw_spin_lock@file_lock (6,000 samples, 3.00%)", texts[0])
            self.assertIn(f'fill="{draw.shade("fd_table", "alloc_fd")}"', texts[0])
            self.assertRegex(texts[0], r'<svg [^>]*width="1200"')
            self.assertTrue(re.search(r">of 1000</text>\n</svg>\n$", texts[0]))

    def test_difference(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "difference.svg")
            draw.draw(path, st.difference({"a;b": 600, "a;c": 200}, {"a;b": 300, "a;c": 400}),
                      "t", "s", "samples", 1000)
            self.assertIn("b (300 samples, 30.00%; -30.00%)", path.read_text())
            self.assertIn("c (400 samples, 40.00%; +20.00%)", path.read_text())

    def test_unknown_is_bounded(self):
        class Fake:
            accept, counts, connections, unknown = "epoll", {"all": 100}, 10, 2.5

        draw.check_unknown([Fake], 2.5)
        with self.assertRaisesRegex(draw.Failure, "2.50 % .* more than --unknown-max 2.4"):
            draw.check_unknown([Fake], 2.4)


if __name__ == "__main__":
    unittest.main(verbosity=2)
