# SPDX-License-Identifier: MIT
"""The two servers, and those who ask them."""

import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/bench-service"
SERVICE = BUILD / "examples/service/weir-service"
LOAD = BUILD / "examples/service/load"
GO = BUILD / "go-server"


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
