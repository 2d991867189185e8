# SPDX-License-Identifier: MIT
"""A redis-server for tests, on a free port of the loopback; it is stopped by its process id."""

import os
import socket
import subprocess
import time
from pathlib import Path

PROGRAM = "redis-server"
DEADLINE = 90 * float(os.environ.get("WEIR_TESTS_PATIENCE", "1"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Client:
    """A few commands of the protocol, one at a time."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        self.file = self.socket.makefile("rb")

    def __call__(self, *words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        parts = [b"*%d\r\n" % len(words)] + [b"$%d\r\n%s\r\n" % (len(w), w) for w in words]
        self.socket.sendall(b"".join(parts))
        return self.reply()

    def reply(self):
        line = self.file.readline()
        if not line:
            raise ConnectionError("the server has closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return RuntimeError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2].decode("latin-1")
        return None if rest == b"-1" else [self.reply() for _ in range(int(rest))]

    def close(self):
        self.file.close()
        self.socket.close()


class Server:
    """A redis-server, that can be killed and started again on the same port."""

    def __init__(self, folder, *options):
        self.folder, self.options, self.process, self.client = folder, options, None, None
        self.port = free_port()
        self.start()

    def start(self):
        for _ in range(20):
            log = open(Path(self.folder, "redis.log"), "ab")
            self.process = subprocess.Popen(
                [PROGRAM, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                 "--dir", str(self.folder), "--daemonize", "no", *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
            log.close()
            if self.ready():
                return
            self.process.kill()
            self.process.wait()
            self.port = free_port()  # somebody else took it meanwhile
        raise AssertionError("no redis-server starts; see redis.log")

    def ready(self):
        ends = time.monotonic() + DEADLINE
        while time.monotonic() < ends and self.process.poll() is None:
            try:
                self.client = Client(self.port)
                if not str(self.client("PING")).startswith("LOADING"):
                    return True
                self.client.close()
            except OSError:
                pass
            time.sleep(0.02)
        return False

    def __call__(self, *words):
        return self.client(*words)

    def kill(self):
        self.client.close()
        self.process.kill()
        self.process.wait()
