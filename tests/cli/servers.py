# SPDX-License-Identifier: MIT
"""A redis-server for tests: its own process, on a free port of the loopback interface, with its
files in the test's folder. It is stopped by its process id.
"""

import json
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
import uuid
from pathlib import Path

from support import DEADLINE, WEIR, Case, has_queue, have

SERVER = "redis-server"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """Keyword arguments are its configuration, _ for -."""

    def __init__(self, **settings):
        self.folder = tempfile.mkdtemp(prefix="weir-redis-")
        self.settings = {"save": "", "appendonly": "no", **settings}
        self.process = None
        self.start()

    def start(self):
        """Also again, with what it has kept, and at the same port."""
        for _ in range(20):
            self.port = getattr(self, "port", None) or free_port()
            words = [SERVER, "--bind", "127.0.0.1", "--port", str(self.port), "--dir", self.folder]
            for name, value in self.settings.items():
                words += [f"--{name.replace('_', '-')}", str(value)]
            with open(Path(self.folder, "server.log"), "ab") as log:
                self.process = subprocess.Popen(words, stdout=log, stderr=log)
            if self.answers():
                return
            self.kill()
            self.port = None  # somebody else had it
        raise AssertionError(Path(self.folder, "server.log").read_text())

    def answers(self):
        ends = time.monotonic() + DEADLINE
        while time.monotonic() < ends and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                    connection.sendall(b"PING\r\n")
                    said = connection.recv(100)
                    if said.startswith((b"+PONG", b"-NOAUTH")):
                        return True
            except OSError:
                pass
            time.sleep(0.005)
        return False

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def remove(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, *words):
        """What it answers: an int, bytes, None, or a list; an error is raised."""
        with socket.create_connection(("127.0.0.1", self.port), DEADLINE) as connection:
            file = connection.makefile("rwb")
            if "requirepass" in self.settings and words[0] != "AUTH":
                self.send(file, "AUTH", self.settings["requirepass"])
            return self.send(file, *words)

    def send(self, file, *words):
        file.write(b"*%d\r\n" % len(words))
        for word in words:
            word = word if isinstance(word, bytes) else str(word).encode()
            file.write(b"$%d\r\n%s\r\n" % (len(word), word))
        file.flush()
        return self.read(file)

    def read(self, file):
        line = file.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"-":
            raise AssertionError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self.read(file) for _ in range(int(rest))]
        return rest


@unittest.skipUnless(has_queue(), "this build has no queue")
@unittest.skipUnless(have(SERVER), f"{SERVER} is not installed")
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
