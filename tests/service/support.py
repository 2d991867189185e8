# SPDX-License-Identifier: MIT
"""What the tests of the service share.

Each test runs the built program in a fresh folder, on free ports of the loopback. When a test ends,
the service is told to stop and must exit with 0, unless the test has ended it.

The paths come from the environment: SERVICE, PLUGIN, LOAD. Nothing here waits for a time to pass;
deadlines are only what ends a test that would hang.
"""

import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SERVICE, LOAD = os.environ["SERVICE"], os.environ["LOAD"]
DEADLINE = 60 * float(os.environ.get("WEIR_TESTS_PATIENCE", "1"))


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {dict(self.headers)} {self.body[:500]!r}"


class Service:
    """The program, running."""

    def __init__(self, folder, *args, env=None, prefix=(), cwd=None, **rights):
        self.folder = Path(folder)
        self.log_path = self.folder / f"log-{time.monotonic_ns()}"
        self.log = open(self.log_path, "wb")
        defaults = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--database", "test.db",
                    "--rate", "0", "--lame-duck-ms", "0"]
        self.process = subprocess.Popen(
            [*prefix, SERVICE, *defaults, *args],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log, cwd=cwd or folder,
            env={**os.environ, **(env or {})}, **rights,
        )
        self.pid = self.process.pid
        ready, _, _ = select.select([self.process.stdout], [], [], DEADLINE)
        line = self.process.stdout.readline().decode() if ready else ""
        match = re.fullmatch(r"http port (\d+), admin port (\d+)\n", line)
        if not match:
            self.process.kill()
            self.process.wait()
            self.close()
            raise AssertionError(f"it did not start: {line!r} {self.errors()}")
        self.port, self.admin = int(match[1]), int(match[2])

    def errors(self):
        return self.log_path.read_text(errors="replace")

    def lines(self):
        """The lines of the log, as dictionaries; all of them once it has ended."""
        for line in self.errors().splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                yield {"message": line}

    def messages(self):
        return [line["message"] for line in self.lines() if "message" in line]

    def connect(self, admin=False):
        return http.client.HTTPConnection("127.0.0.1", self.admin if admin else self.port,
                                          timeout=DEADLINE)

    def ask(self, method, path, body=None, admin=False, connection=None, **headers):
        """One request; header names have _ for -."""
        own = connection or self.connect(admin)
        try:
            own.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
            answer = own.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            if connection is None:
                own.close()

    def get(self, path, **more):
        return self.ask("GET", path, **more)

    def post(self, path, body, **more):
        return self.ask("POST", path, body, **more)

    def metric(self, name):
        """The value of a metric, by the whole of its name and labels."""
        for line in self.get("/metrics", admin=True).body.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.rpartition(" ")[2])
        raise AssertionError(f"there is no metric {name}")

    def raw(self, data=b""):
        """A socket on which this was sent."""
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)
        raw.sendall(data)
        return raw

    def rss(self):
        """Of its memory, what is there, in KiB."""
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())[1])

    def send(self, number):
        os.kill(self.pid, number)

    def wait(self):
        try:
            return self.process.wait(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it did not end; {self.messages()}") from None

    def close(self):
        self.process.stdout.close()
        self.log.close()

    def stop(self, status=0):
        if self.process.poll() is None:
            self.send(signal.SIGTERM)
        ended = self.wait()
        if status is not None and ended != status:
            raise AssertionError(f"it ended with {ended}; {self.errors()[-3000:]}")


def start_load(service, path, *args):
    return subprocess.Popen([LOAD, str(service.port), path, *map(str, args)],
                            stdout=subprocess.PIPE)


def end_load(process):
    out, _ = process.communicate(timeout=10 * DEADLINE)
    if process.returncode != 0:
        raise AssertionError(f"load ended with {process.returncode}")
    return json.loads(out)


def load(service, path, *args):
    """Puts load on it, and returns what the generator has counted."""
    return end_load(start_load(service, path, *args))


def is_sanitized():
    listed = subprocess.run(["nm", SERVICE], capture_output=True, check=False).stdout
    return b"__asan_init" in listed or b"__tsan_init" in listed


class Case(unittest.TestCase):
    maxDiff = 2000

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="weir-service-"))
        self.services = []

    def tearDown(self):
        try:
            for service in self.services:
                if service.process.poll() is None:
                    service.stop()
        finally:
            for service in self.services:
                if service.process.poll() is None:
                    service.process.kill()
                    service.process.wait()
                service.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, *args, open=True, **more):
        service = Service(self.folder, *(["--open"] if open else []), *args, **more)
        self.services.append(service)
        return service

    def refuses(self, *args, words=(), status=1, **more):
        """It does not start, and says why in these words."""
        result = subprocess.run(
            [SERVICE, *args], capture_output=True, cwd=self.folder, timeout=DEADLINE, check=False,
            env={**os.environ, **more.pop("env", {})}, stdin=subprocess.DEVNULL)
        said = result.stderr.decode()
        self.assertEqual(result.returncode, status, said)
        for word in words:
            self.assertIn(word, said)

    def wait_until(self, ready, what):
        ends = time.monotonic() + DEADLINE
        while not ready():
            if time.monotonic() > ends:
                self.fail(f"{what} did not come about")
            time.sleep(0.01)

    def write(self, name, text, mode=0o600):
        path = self.folder / name
        path.write_text(text)
        path.chmod(mode)
        return path

    def answers(self, answer, status, **fields):
        self.assertEqual(answer.status, status, answer)
        for name, value in fields.items():
            self.assertEqual(answer.json()[name], value, answer)
        return answer


def main():
    sys.stdout.reconfigure(line_buffering=True)
    unittest.main(verbosity=2)
