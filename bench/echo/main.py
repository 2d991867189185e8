# SPDX-License-Identifier: MIT
"""Compares examples/echo_server with echo servers in Go and on libuv, in one run on one machine.

Contenders take turns, and each round begins with another one; the median of the rounds counts.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/bench-echo"
sys.path.insert(0, str(ROOT / "bench/compare"))

import process  # noqa: E402
import report  # noqa: E402
from quiet import undisturbed  # noqa: E402
from server import Server  # noqa: E402

LOAD = BUILD / "bench/echo/echo_load"
SERVERS = {
    "weir": [BUILD / "examples/echo_server", "serve"],
    "Go": [BUILD / "go-echo"],
    "libuv": [BUILD / "bench/echo/echo_uv"],
}
SPARE = 64  # descriptors besides those of connections
SETTLE_S = 1  # after the connections were opened
MOST_IDLE_TICKS = 1  # of weir
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Scale:
    def __init__(self, quick):
        self.connections = 200 if quick else 10000
        self.idle_s = 1 if quick else 3
        # How many connections are active: how many requests they make together.
        self.active = {1: 100, 200: 2000} if quick else {1: 20000, 100: 200000, 10000: 200000}


def say(words):
    print(words, file=sys.stderr, flush=True)


def build():
    if not (BUILD / "build.ninja").is_file():
        subprocess.run(
            ["meson", "setup", BUILD, ROOT, "--buildtype=release", "-Dbench=enabled",
             "-Dtests=disabled", "-Dcli=disabled"],
            check=True, stdout=2,
        )  # fmt: skip
    targets = ["echo_server", "echo_load", "echo_uv"]
    subprocess.run(["meson", "compile", "-C", BUILD, *targets], check=True, stdout=2)
    subprocess.run(
        ["go", "build", "-o", BUILD / "go-echo", ROOT / "bench/echo/server.go"], check=True
    )


def allow_descriptors(connections):
    """For this process and all that it starts."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most != resource.RLIM_INFINITY and most < connections + SPARE:
        raise SystemExit(f"{connections} connections need a limit of descriptors above {most}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def resident_kb(pid):
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise SystemExit(f"process {pid} has ended")


class Load:
    """The client. It has opened its connections when it is entered."""

    def __init__(self, port, connections):
        self.command = [LOAD, port, str(connections)]

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.hear()
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the client has ended with {self.process.wait()}")
        return line

    def ask(self, active, requests):
        print(active, requests, file=self.process.stdin, flush=True)
        got = json.loads(self.hear())
        if got["answers"] != requests:
            raise SystemExit(f"{got['answers']} answers to {requests} requests")
        return got


def cpu_during(pid, fn):
    """What fn returns, and what the process has used of the CPUs meanwhile, in seconds."""
    before = process.cpu_seconds(pid)
    got = fn()
    return got, process.cpu_seconds(pid) - before


def visit(command, scale):
    """One server: {what: figure}."""
    with Server(command) as server, Load(server.port, scale.connections) as load:
        pid = server.process.pid
        time.sleep(SETTLE_S)
        figures = {"resident": resident_kb(pid)}
        _, figures["idle"] = cpu_during(pid, lambda: time.sleep(scale.idle_s))
        for active, requests in scale.active.items():
            got, cpu = cpu_during(pid, lambda: load.ask(active, requests))
            figures[active, "rate"] = requests / got["seconds"]
            figures[active, "cpu"] = cpu * 100000 / requests
            figures[active, "p50"], figures[active, "p99"] = got["p50"], got["p99"]
        figures["resident later"] = resident_kb(pid)
    return figures


def measure(rounds, scale, finish_round):
    """After each round it calls finish_round with {server: [what visit returned, ...]}, and what
    others used of the CPUs in each of these measurements."""
    found, others = {name: [] for name in SERVERS}, []
    for turn in range(rounds):
        names = list(SERVERS)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            say(f"round {turn + 1} of {rounds}: {name}")
            got, disturbance = undisturbed(lambda: visit(SERVERS[name], scale))
            found[name].append(got)
            others.append(disturbance)
        finish_round(turn + 1, found, others)


def column(found, name, what):
    return [figures[what] for figures in found[name]]


def load_table(found, active):
    rows = []
    own = statistics.median(column(found, "weir", (active, "rate")))
    for name in SERVERS:
        rates = column(found, name, (active, "rate"))
        rate, cpu, p50, p99 = (
            statistics.median(column(found, name, (active, what)))
            for what in ("rate", "cpu", "p50", "p99")
        )
        rows.append(
            [name, f"{rate:.0f}", f"{rate / own:.2f}", f"{min(rates):.0f}..{max(rates):.0f}",
             f"{cpu:.2f}", report.number(p50), report.number(p99)]
        )  # fmt: skip
    headings = ["", "requests/s", "ratio", "spread", "CPU s per 100,000", "p50, us", "p99, us"]
    return report.table(headings, rows)


def rest_table(found, scale):
    rows = []
    for name in SERVERS:
        opened, later = (
            statistics.median(column(found, name, what)) for what in ("resident", "resident later")
        )
        idle = column(found, name, "idle")
        rows.append(
            [name, f"{opened / 1024:.1f}", f"{opened / scale.connections:.2f}",
             f"{later / 1024:.1f}", f"{statistics.median(idle) * 1000:.0f}",
             f"{max(idle) * 1000:.0f}"]
        )  # fmt: skip
    headings = ["", "resident, MiB", "KiB a connection", "after the load, MiB",
                f"CPU in {scale.idle_s} s, ms", "at most"]  # fmt: skip
    return report.table(headings, rows)


def render(found, others, rounds, load, scale):
    tables = "\n\n".join(
        f"### {active} of them active\n\n{load_table(found, active)}" for active in scale.active
    )
    usual, worst = statistics.median(others), max(others)
    return f"""# An echo server beside Go's net and libuv

{report.machine()}. Medians of {rounds} interleaved rounds; load before the run: {load:.2f}. Other
programs used {usual:.2f} CPUs meanwhile, {worst:.2f} in the worst of the measurements.
{scale.connections} connections are open all the time. An active one sends 64 bytes, and again
when it has them back. The ratio is that of the requests a second to weir's.

### Nothing happens

{rest_table(found, scale)}

{tables}
"""


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench/echo/run", description=__doc__)
    parser.add_argument("-q", dest="quick", action="store_true", help="one short round")
    parser.add_argument("-r", dest="rounds", type=int, default=5)
    parser.add_argument("-o", dest="output", default="", help="where the table goes")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("-r: at least 1")
    return arguments


def main():
    arguments = parse_arguments()
    load = os.getloadavg()[0]
    scale = Scale(arguments.quick)
    allow_descriptors(scale.connections)
    build()
    output = Path(arguments.output or (BUILD if arguments.quick else ROOT / "docs/figures"))
    output.mkdir(parents=True, exist_ok=True)
    rounds = 1 if arguments.quick else arguments.rounds

    def finish_round(n, found, others):
        """What was measured so far is worth having if the next round is interrupted."""
        words = render(found, others, n, load, scale)
        (output / "echo").with_suffix(".md").write_text(words, encoding="utf-8")
        if n == rounds:
            print(words)
        idle = max(column(found, "weir", "idle"))
        if idle > (MOST_IDLE_TICKS + 0.5) * TICK_S:
            raise SystemExit(f"weir used {idle:.2f} s of a CPU while nothing happened")

    measure(rounds, scale, finish_round)


main()
