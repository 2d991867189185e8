# SPDX-License-Identifier: MIT
"""Starts a server that prints its port, and stops it."""

import re
import subprocess
import tempfile


class Server:
    """Runs in a folder of its own while it is used."""

    def __init__(self, command):
        self.command = command

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="weir-bench-")
        self.process = subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=self.folder.name
        )
        line = self.process.stdout.readline().decode()
        found = re.search(r"\bport (\d+)", line)
        if found is None:
            self.__exit__()
            raise SystemExit(f"{self.command[0]} did not start: {line!r}")
        self.port = found[1]
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        self.folder.cleanup()
