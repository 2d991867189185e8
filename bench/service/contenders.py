# SPDX-License-Identifier: MIT
"""The two servers, and those who ask them."""

import json
import os
import re
import resource
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/bench-service"
SERVICE = BUILD / "examples/service/weir-service"
LOAD = BUILD / "examples/service/load"
GO = BUILD / "go-server"
# The machine may have other work, which comes and goes.
LITTLE, TRIES, PAUSE_S, MOST_PAUSES = 0.1, 2, 0.5, 6


def build():
    if not (BUILD / "build.ninja").is_file():
        subprocess.run(
            ["meson", "setup", BUILD, ROOT, "--buildtype=release", "-Dexamples=enabled",
             "-Dtests=disabled", "-Dbench=disabled"],
            check=True, stdout=2,
        )  # fmt: skip
    subprocess.run(["meson", "compile", "-C", BUILD, "weir-service", "load"], check=True, stdout=2)
    subprocess.run(["go", "build", "-o", GO, ROOT / "bench/service/server.go"], check=True)


def weir(*args):
    return [SERVICE, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--bench", "--rate", "0",
            "--lame-duck-ms", "0", "--access-log", "no", "--database", "bench.db",
            *args]  # fmt: skip


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
        found = re.search(r"http port (\d+)", line)
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


def cpu_seconds():
    """Of all programs together; and of those that this one has started and that have ended."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _, _, irq, softirq = map(int, fields[:7])
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    everybody = (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
    return everybody, used.ru_utime + used.ru_stime


def others_used(before, seconds):
    """How many CPUs others have used in these seconds, since cpu_seconds() said `before`."""
    after = cpu_seconds()
    return max(0, (after[0] - before[0] - after[1] + before[1]) / seconds)


def wait_for_quiet():
    for _ in range(MOST_PAUSES):
        before = cpu_seconds()
        time.sleep(PAUSE_S)
        if others_used(before, PAUSE_S) < LITTLE:
            return


def undisturbed(measure):
    """What `measure` returns when others used little of the CPUs meanwhile: of some tries the best
    one. And how much that was, in CPUs."""
    best, least = None, None
    for _ in range(TRIES):
        wait_for_quiet()
        before, began = cpu_seconds(), time.monotonic()
        got = measure()
        others = others_used(before, time.monotonic() - began)
        if least is None or others < least:
            best, least = got, others
        if least < LITTLE:
            break
    return best, least


def ask_fast(server, path, connections, seconds):
    """wrk's: requests a second, and the p99 in ms."""
    said = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s",
         f"http://127.0.0.1:{server.port}{path}"],
        stdout=subprocess.PIPE, check=True,
    ).stdout.decode()  # fmt: skip
    if "Non-2xx" in said or re.search(r"Socket errors: .*[1-9]", said):
        raise SystemExit(said)
    n, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", said).groups()
    p99 = float(n) * {"us": 0.001, "ms": 1, "s": 1000}[unit]
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]), p99


def ask(server, path, *args):
    """What the generator of the service's tests has counted: it tells answers from refusals."""
    command = [LOAD, server.port, path, *map(str, args)]
    said = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    counted = json.loads(said)
    if counted["lost"] or set(counted["statuses"]) - {"200", "503"}:
        raise SystemExit(f"{command}: {said.decode()}")
    return counted
