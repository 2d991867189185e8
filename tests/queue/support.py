# SPDX-License-Identifier: MIT
"""What the tests of the queue share: servers, and players (player.c).

Each test has a folder, and servers of its own on free ports of the loopback, which are ended by
their process ids. Nothing passes by timing: a test waits until something is so, and then looks.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import redis_server  # noqa: E402
from redis_server import DEADLINE  # noqa: E402

PLAYER = os.environ.get("PLAYER", "player")
QUEUE = "q"
PREFIX = f"weir:{{{QUEUE}}}:"


def eventually(look, what):
    """Waits until look() is true, and returns it."""
    ends = time.monotonic() + DEADLINE
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > ends:
            raise AssertionError(f"never came: {what}")
        time.sleep(0.01)


class Server(redis_server.Server):
    def url(self, user="", more=""):
        return f"redis://{user}127.0.0.1:{self.port}/{QUEUE}{more}"


class Player:
    """A player that runs."""

    def __init__(self, out, *words):
        self.out = out
        with open(out, "wb") as stream:
            self.process = subprocess.Popen(
                [PLAYER, *map(str, words)], stdin=subprocess.DEVNULL, stdout=stream
            )
        self.pid = self.process.pid

    def text(self):
        return Path(self.out).read_text(errors="replace")

    def lines(self, word):
        return [line for line in self.text().splitlines() if line.startswith(word + " ")]

    def send(self, number):
        self.process.send_signal(number)

    def end(self):
        return self.process.wait(timeout=DEADLINE)


class Test(unittest.TestCase):
    options = ()  # of the server

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="weir-queue-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.players, self.servers = [], []
        self.addCleanup(self.end_all)
        self.log = Path(self.folder, "log")
        self.log.touch()
        self.server = self.new_server(*self.options)

    def end_all(self):
        for player in self.players:
            if player.process.poll() is None:
                player.process.kill()
                player.process.wait()
        for server in self.servers:
            if server.process.poll() is None:
                server.kill()

    def new_server(self, *options):
        folder = Path(self.folder, f"server{len(self.servers)}")
        folder.mkdir()
        self.servers.append(Server(folder, *options))
        return self.servers[-1]

    def player(self, what, *words, url=None):
        out = Path(self.folder, f"out{len(self.players)}")
        self.players.append(Player(out, what, url or self.server.url(), *words))
        return self.players[-1]

    def worker(self, *words, url=None):
        return self.player("serve", f"log={self.log}", *words, url=url)

    def play(self, what, *words, url=None, status=0):
        """Runs a player to its end and returns what it printed."""
        player = self.player(what, *words, url=url)
        ended = player.end()
        self.assertEqual(ended, status, player.text())
        return player.text()

    def push(self, count, *words, url=None):
        return self.play("push", count, *words, url=url)

    def drain(self, *words):
        return self.play("serve", f"log={self.log}", "drain=1", *words)

    def now(self):
        """Of the server, in milliseconds."""
        seconds, micros = self.server("TIME")  # the second without leading zeros
        return int(seconds) * 1000 + int(micros) // 1000

    def stats(self, url=None):
        return json.loads(self.play("stats", url=url))

    def logged(self, word):
        """The lines of handlers: [(body, id, number, pid)]. The last one may not be whole."""
        text = self.log.read_text()
        rows = [line.split() for line in text[: text.rfind("\n") + 1].splitlines()]
        return [tuple(row[1:]) for row in rows if row[0] == word]

    def started(self):
        """How often the handler of each body was called."""
        return Counter(row[0] for row in self.logged("start"))

    def ended_well(self):
        return Counter(row[0] for row in self.logged("end") if row[2] == "0")

    def pending(self):
        summary = self.server("XPENDING", PREFIX + "jobs", "workers")
        return 0 if isinstance(summary, RuntimeError) else summary[0]

    def keys(self):
        """All keys; only a test asks like this."""
        return sorted(key[len(PREFIX):] for key in self.server("KEYS", "*"))

    def assert_clean(self):
        """Nothing of any job is left on the server."""
        left = [key for key in self.keys() if key.split(":")[0] not in
                ("jobs", "next", "counts", "wake", "workers", "push")]
        self.assertEqual(left, [])
        self.assertEqual(self.server("XLEN", PREFIX + "jobs"), 0)
        self.assertEqual(self.pending(), 0)


def main():
    if shutil.which(redis_server.PROGRAM) is None:
        print(f"{redis_server.PROGRAM} is not installed")
        raise SystemExit(77)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    unittest.main(verbosity=2)
