# SPDX-License-Identifier: MIT
"""Tests of the subcommands that need a server."""

import json
import shutil
import sys
import tempfile
import time
import unittest
import uuid
from pathlib import Path

from support import DEADLINE, WEIR, Case, has_queue, have

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import redis_server  # noqa: E402


class Server(redis_server.Server):
    """With a folder of its own. Keyword arguments are its configuration, _ for -."""

    def __init__(self, **settings):
        options = []
        for name, value in settings.items():
            options += [f"--{name.replace('_', '-')}", str(value)]
        super().__init__(tempfile.mkdtemp(prefix="weir-redis-"), *options)

    def remove(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@unittest.skipUnless(has_queue(), "this build has no queue")
@unittest.skipUnless(have(redis_server.PROGRAM), "redis-server is not installed")
class QueueCase(Case):
    """One server for all tests of a class; each has a queue of its own."""

    SETTINGS = {}

    @classmethod
    def setUpClass(cls):
        cls.server = Server(**cls.SETTINGS)
        cls.addClassCleanup(cls.server.remove)

    def setUp(self):
        super().setUp()
        self.queue = "q" + uuid.uuid4().hex
        self.url = self.url_of(self.server)

    def url_of(self, server, user=""):
        return f"redis://{user}127.0.0.1:{server.port}/{self.queue}"

    def own_server(self, **settings):
        server = Server(**settings)
        self.addCleanup(server.remove)
        return server

    # The subcommands, by default with the URL of the test's queue.

    def words(self, args, url):
        return (url or self.url, *args)

    def push(self, *args, added=None, known=0, left_out=0, status=0, url=None, **more):
        """Pushes; if `added` is given, that is what it must say."""
        result = self.run_it(*self.words(args, url), program=(WEIR, "push"), **more)
        self.assertEqual(result.status, status, result)
        if added is not None:
            said = f"{added} added, {known} known, {left_out} left out\n"
            self.assertEqual(result.out.decode(), said, result)
        return result

    def start_work(self, *args, url=None, **more):
        return self.start(*self.words(args, url), program=(WEIR, "work"), **more)

    def work(self, *args, status=0, url=None, **more):
        """Works until nothing is left."""
        words = ("--drain", "-q", *self.words(args, url))
        return self.weir(*words, status=status, program=(WEIR, "work"), **more)

    def jobs(self, *args, status=0, url=None, **more):
        result = self.run_it(*self.words(args, url), program=(WEIR, "jobs"), **more)
        self.assertEqual(result.status, status, result)
        return result

    def stats(self, **more):
        return json.loads(self.jobs("--json", **more).out)

    def dead(self):
        return [json.loads(line) for line in self.jobs("dead", "--json").out.splitlines()]

    def wait_for_stats(self, url=None, **wanted):
        """Until the counts of these names are these."""
        ends = time.monotonic() + DEADLINE
        while not wanted.items() <= (stats := self.stats(url=url)).items():
            self.assertLess(time.monotonic(), ends, f"{wanted} did not come about, but {stats}")
            time.sleep(0.02)
        return stats

    def complains(self, subcommand, *args, words=(), status=125, lines=1, **more):
        """It says so in one sentence, and the exit status tells."""
        result = self.run_it(*args, program=(WEIR, subcommand), **more)
        self.assertEqual(result.status, status, result)
        said = result.err.decode().splitlines()
        self.assertEqual(len(said), lines, result)
        for word in words:
            self.assertIn(word, said[-1], result)
        return result
