#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The page of pictures in a real browser, without a network: every picture loads, searching marks
frames, nothing is wider than a phone, it prints. Skipped (77) where there is no Chromium.

  test_page.py ACCEPT-BENCH [FOLDER]

With FOLDER, screenshots and the printed page are left there to be looked at.
"""

import base64
import collections
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    import markdown  # noqa: F401: scripts/page needs it
except ImportError as missing:
    print(f"skipped: {missing}; scripts/setup installs it where there is a package")
    sys.exit(77)

import draw
import test_stacks

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
PHONE = (390, 844)
DESK = (1440, 900)
FOUND = "rgb(230,0,230)"  # what flamegraph.pl paints a frame that was searched for


def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                     "--host-resolver-rules=MAP * ~NOTFOUND", "--window-size={},{}".format(*DESK)):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)


def make_set(folder):
    """What scripts/flamegraph leaves, of stacks made up for it."""
    class Sampled(draw.Path):
        def __init__(self, accept, stacks):
            self.accept, self.stacks, self.connections, self.turns, self.load = accept, stacks, 1000, 1, {}
            self.counts = draw.st.count(stacks)
            self.normal = draw.st.normalise(stacks, 1000)
            self.unknown = 0.0
            self.waits = {"visible": True, "connections": 1000, "neighbours": 1, "blind": "", "stacks": [
                {"stack": f"accept-server;{test_stacks.ACCEPT};{test_stacks.LOCK};{test_stacks.SLOW}",
                 "n": 3, "wait_ns": 900},
                {"stack": f"neighbour;{test_stacks.CLOSE};{test_stacks.LOCK};{test_stacks.SLOW}",
                 "n": 2, "wait_ns": 500}]}

    a, b = Sampled("epoll", test_stacks.EPOLL), Sampled("dup", test_stacks.DUP_PATH)
    description = {"environment": {"kernel_release": "7.3.0", "virtualisation": "none", "revision": "0"},
                   "workers": 2, "fd_table": "shared", "frequency_hz": 999}
    pictures = draw.Pictures(collections.namedtuple("Options", "out")(folder), description, a, b)
    for path in (a, b):
        pictures.both(path)
    pictures.waits()
    summary = {"schema": draw.SCHEMA, "turns": 1, **description,
               "paths": [draw.summary_of(path, 999) for path in (a, b)],
               "differences": [pictures.difference(a, b), pictures.difference(b, a)]}
    draw.bars(folder / "numbers.svg", summary)
    (folder / "summary.json").write_text(json.dumps(summary))


class Page(unittest.TestCase):
    keep = None
    bench = None

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        folder = pathlib.Path(cls.folder.name)
        make_set(folder)
        cls.page = folder / "index.html"
        report = folder / "README.md"
        subprocess.run([cls.bench, "report", "--flames", folder, "--out", report], check=True)
        cls.text = report.read_text()
        # A picture that is no flame graph, inside the text of a run: a table too wide for a phone.
        report.write_text(report.read_text() + "\n## Table\n\n|" + " a wide column |" * 20 + "\n|" + "---|" * 20
                          + "\n|" + " 1000000 |" * 20 + "\n")
        subprocess.run([TOP / "scripts/page", "--in", report, "--out", cls.page], check=True)
        # Nothing beside the page: what it shows is inside.
        for picture in folder.glob("*.svg"):
            picture.unlink()
        cls.driver = browser()
        cls.driver.get(cls.page.as_uri())

    @classmethod
    def tearDownClass(cls):
        cls.driver.quit()
        cls.folder.cleanup()

    def run_script(self, script):
        return self.driver.execute_script(script)

    def leave(self, name, data):
        if self.keep:
            (self.keep / name).write_bytes(data)

    def colours(self):
        return self.run_script(
            "return graphs().map(g => [...g.document.querySelectorAll('g.func_g')].filter("
            "f => f.querySelector('rect').getAttribute('fill') == arguments[0]).map("
            "f => f.querySelector('title').textContent))".replace("arguments[0]", f"'{FOUND}'"))

    def test_numbers_under_the_pictures(self):
        for line in ("`epoll` 25.000 samples per 1000 connections, `dup` 9.000; the intervals meet",
                     "| 17 samples under allocation, 8 under close, 0 under replace, of these 2 in file_lock's slow path",
                     "| 0 samples under allocation, 2 under close, 7 under replace, of these 1 in file_lock's slow path",
                     "allocation 17.000 to 0.000, close 8.000 to 2.000, replace 0.000 to 7.000",
                     "`epoll`: its workers waited for file_lock 3 times in 1000 connections, 0.9 ns a connection"):
            self.assertIn(line, self.text)

    def test_claim(self):
        folder = pathlib.Path(self.folder.name)
        summary = json.loads((folder / "summary.json").read_text())
        summary["paths"][1]["under"]["fd_table"]["high"] = summary["paths"][0]["under"]["fd_table"]["low"] - 0.001
        with tempfile.TemporaryDirectory() as other:
            pathlib.Path(other, "summary.json").write_text(json.dumps(summary))
            out = pathlib.Path(other, "report.md")
            subprocess.run([self.bench, "report", "--flames", other, "--out", out], check=True)
            self.assertIn("the intervals do not overlap, so `dup` spends less there", out.read_text())

    def test_nothing_comes_from_elsewhere(self):
        text = self.page.read_text()
        self.assertEqual(re.findall(r'(?:src|href|xlink:href)="(?!data:|#)[^"]*"', text), [])
        self.assertNotRegex(text, r"@import|url\((?!#)")
        # This document was loaded, and the frames within it, and nothing else.
        loaded = self.run_script("return performance.getEntriesByType('resource').map(e => e.name)")
        self.assertEqual([name for name in loaded if not name.startswith(("data:", "about:srcdoc"))], [])

    def test_every_picture_loads(self):
        widths = self.run_script("return [...document.images].map(i => i.complete ? i.naturalWidth : 0)")
        self.assertEqual(len(widths), 1)
        self.assertGreater(min(widths), 100)
        frames = self.run_script("return graphs().map(g => g.document.querySelectorAll('g.func_g rect').length)")
        self.assertEqual(len(frames), 8)  # enlarged, whole, difference, waits: two of each
        self.assertGreater(min(frames), 3)
        seen = self.run_script(
            "return graphs().map(g => g.document.querySelector('svg').getBoundingClientRect()).map(r => r.width * r.height)")
        self.assertGreater(min(seen), 10000)

    def test_search_all_and_reset(self):
        self.driver.find_element("id", "term").send_keys("alloc_fd")
        self.driver.find_element("css selector", "#tools button").click()
        found = self.colours()
        self.assertTrue(all("alloc_fd" in title for titles in found for title in titles))
        # In every picture of epoll, and in the difference that is drawn from its samples.
        self.assertEqual([bool(titles) for titles in found],
                         [True, False, True, False, False, True, True, True])
        self.assertEqual(self.driver.find_element("id", "found").text, "found in 5 of 8 graphs")
        self.driver.find_element("id", "reset").click()
        self.assertFalse(any(self.colours()))

    def test_search_in_one_graph(self):
        self.run_script("graphs()[1].search('@file_lock')")
        found = self.colours()
        self.assertTrue(any("_raw_spin_lock@file_lock" in title for title in found[1]))
        self.assertFalse(any(titles for i, titles in enumerate(found) if i != 1))
        self.run_script("reset()")

    def test_zoom(self):
        width = ("return +[...graphs()[0].document.querySelectorAll('g.func_g')].find("
                 "f => f.querySelector('title').textContent.startsWith('alloc_fd')).querySelector('rect')"
                 ".getAttribute('width')")
        before = self.run_script(width)
        self.run_script("const g = graphs()[0]; g.zoom([...g.document.querySelectorAll('g.func_g')].find("
                        "f => f.querySelector('title').textContent.startsWith('alloc_fd')))")
        self.assertGreater(self.run_script(width), before)
        self.run_script("graphs()[0].unzoom()")
        self.assertEqual(self.run_script(width), before)

    def test_bad_search_says_so(self):
        self.run_script("document.getElementById('term').value = '('")
        self.driver.find_element("css selector", "#tools button").click()
        self.assertIn("regular expression", self.driver.find_element("id", "found").text)
        self.driver.find_element("id", "reset").click()

    def test_no_errors(self):
        self.assertEqual([entry for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"], [])

    def test_desk(self):
        self.leave("desk.png", self.full_screenshot(DESK))

    def full_screenshot(self, size):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE})
        widest = self.run_script("return document.scrollingElement.scrollWidth")
        self.assertLessEqual(widest, size[0])
        picture = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        return base64.b64decode(picture["data"])

    def test_phone(self):
        self.leave("phone.png", self.full_screenshot(PHONE))

    def test_print(self):
        pdf = base64.b64decode(self.driver.print_page())
        self.assertTrue(pdf.startswith(b"%PDF-"))
        self.assertGreater(len(pdf), 20000)
        self.leave("page.pdf", pdf)


class Refusals(unittest.TestCase):
    def page(self, text):
        with tempfile.TemporaryDirectory() as folder:
            report, out = pathlib.Path(folder, "r.md"), pathlib.Path(folder, "page.html")
            report.write_text(text)
            result = subprocess.run([TOP / "scripts/page", "--in", report, "--out", out],
                                    capture_output=True, text=True, check=False)
            return result.returncode, result.stderr, out.exists()

    def test_missing_picture(self):
        code, said, written = self.page("# Title\n\n![a](none.svg)\n")
        self.assertEqual((code, written), (1, False))
        self.assertIn("the report shows none.svg, but", said)
        self.assertEqual(said.count("\n"), 1)

    def test_picture_inside_text(self):
        code, said, written = self.page("see ![a](https://example.org/a.svg) there\n")
        self.assertEqual((code, written), (1, False))
        self.assertIn("would be loaded from outside", said)

    def test_unknown_option(self):
        result = subprocess.run([TOP / "scripts/page", "--nonsense"], capture_output=True, text=True, check=False)
        self.assertEqual(result.returncode, 2)


if __name__ == "__main__":
    for tool in ("chromium", "chromedriver"):
        if not shutil.which(tool):
            print(f"skipped: no {tool} here; scripts/setup installs it where there is a package")
            sys.exit(77)
    try:
        draw.flamegraph_pl()
    except draw.Failure as failure:
        print(f"skipped: {failure}")
        sys.exit(77)
    Page.bench = sys.argv[1]
    Page.keep = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
    unittest.main(argv=sys.argv[:1], verbosity=2)
