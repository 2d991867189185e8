#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The page, in a real browser, while the service has ten times too much to do.

Usage: page.py [--screenshot FILE]      makes the picture of the documentation instead

Without Chromium it is skipped (exit status 77).
"""

import base64
import fcntl
import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
import unittest
from pathlib import Path

from support import DEADLINE, Case, main, start_load

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
PATH, WORKERS = "/bench/wait?us=10000", 4
OVER = ["-c", 300, "-r", 4000, "-s", 600]


class Browser:
    """Chromium without a window, spoken to in its own protocol over two pipes."""

    def __init__(self, profile, url):
        theirs_in, self.to = os.pipe()
        self.by, theirs_out = os.pipe()
        # It wants to be spoken to on descriptor 3, and answers on 4.
        theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (theirs_in, theirs_out)]
        starter = ("import os, sys; os.dup2(%d, 3); os.dup2(%d, 4);"
                   "os.execv(sys.argv[1], sys.argv[1:])")
        command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                   "--disable-dev-shm-usage", "--hide-scrollbars",
                   "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", starter % tuple(theirs), *command], pass_fds=theirs,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for fd in (theirs_in, theirs_out, *theirs):
            os.close(fd)
        self.n, self.text, self.session = 0, b"", None
        target = self.call("Target.createTarget", url=url)["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target,
                                 flatten=True)["sessionId"]
        self.call("Emulation.setDeviceMetricsOverride", width=1060, height=560,
                  deviceScaleFactor=1, mobile=False)

    def call(self, method, **params):
        self.n += 1
        message = {"id": self.n, "method": method, "params": params}
        if self.session is not None:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        ends = time.monotonic() + DEADLINE
        while True:
            while b"\0" not in self.text:
                ready, _, _ = select.select([self.by], [], [], max(0, ends - time.monotonic()))
                piece = os.read(self.by, 1 << 20) if ready else b""
                if not piece:
                    raise AssertionError(f"the browser does not answer {method}")
                self.text += piece
            line, _, self.text = self.text.partition(b"\0")
            answer = json.loads(line)
            if answer.get("id") == self.n:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]

    def value(self, expression):
        return self.call("Runtime.evaluate", expression=expression)["result"].get("value")

    def text_of(self, id):
        return self.value(f'document.getElementById("{id}")?.textContent')

    def close(self):
        os.close(self.to)
        os.close(self.by)
        self.process.kill()
        self.process.wait()


class Page(Case):
    def start_under_load(self):
        service = self.start("--bench", "--workers", str(WORKERS))
        load = start_load(service, PATH, *OVER)
        self.addCleanup(load.stdout.close)
        self.addCleanup(load.wait)
        self.addCleanup(load.kill)
        self.wait_until(lambda: service.get("/stats").json()["shedding"], "the load")
        return service

    def browse(self, service):
        browser = Browser(self.folder / "profile", f"http://127.0.0.1:{service.port}/")
        self.addCleanup(browser.close)
        return browser

    def rates(self, browser):
        """What the picture shows last: {kind: answers a second}."""
        label = browser.value('document.getElementById("rates")?.getAttribute("aria-label")')
        return {kind: int(n) for kind, n in re.findall(r"(\w+): (\d+)", label or "")}

    def test_it_shows_what_is_going_on(self):
        browser = self.browse(self.start_under_load())
        self.wait_until(lambda: self.rates(browser).get("503", 0) > 0, "refusals in the picture")
        self.wait_until(lambda: self.rates(browser)["2xx"] > 0, "answers in the picture")
        self.assertEqual(browser.text_of("state"), "live")
        self.assertRegex(browser.text_of("queued"), r"^\d+ of 256$")
        self.assertRegex(browser.text_of("workers"), rf"^\d of {WORKERS} at work$")
        self.assertEqual(browser.text_of("breaker"), "closed")
        self.assertEqual(browser.text_of("shedding"), "shedding load")
        for id in ("wait50", "wait99", "run50", "run99"):
            self.assertGreater(float(browser.text_of(id)), 0, id)
        self.assertGreater(float(browser.text_of("run50")), 9)

    def test_it_says_that_the_service_is_gone(self):
        service = self.start()
        browser = self.browse(service)
        self.wait_until(lambda: browser.text_of("state") == "live", "the page")
        service.stop()
        self.wait_until(lambda: browser.text_of("state").startswith("no answer"), "the notice")

    def test_it_needs_nothing_from_elsewhere(self):
        service = self.start()
        answer = service.get("/")
        self.assertIn("default-src 'none'", answer.headers["Content-Security-Policy"])
        self.assertEqual(re.findall(rb'(?:src|href)="', answer.body), [])


class Screenshot(Page):
    FILE = None

    def runTest(self):
        """Twenty seconds of it, of which ten with too much to do."""
        service = self.start("--bench", "--workers", str(WORKERS))
        browser = self.browse(service)
        loads = [["-r", 200, "-s", 4], ["-r", 4000, "-s", 12], ["-r", 200, "-s", 4],
                 ["-r", 2000, "-s", 600]]
        for args in loads:
            load = start_load(service, PATH, "-c", 300, *args)
            self.addCleanup(load.stdout.close)
            self.addCleanup(load.wait)
            self.addCleanup(load.kill)
            if args is not loads[-1]:
                load.wait()
        time.sleep(6)
        picture = browser.call("Page.captureScreenshot", format="png")["data"]
        Path(self.FILE).write_bytes(base64.b64decode(picture))


if __name__ == "__main__":
    if BROWSER is None:
        print("chromium is not installed")
        sys.exit(77)
    if "--screenshot" in sys.argv:
        Screenshot.FILE = sys.argv[sys.argv.index("--screenshot") + 1]
        result = unittest.TextTestRunner().run(Screenshot())
        sys.exit(not result.wasSuccessful())
    del Screenshot
    main()
