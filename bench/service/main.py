# SPDX-License-Identifier: MIT
"""Compares examples/service with Go's net/http, in one run on one machine.

Contenders take turns, and each round begins with another one; the median of the rounds counts.
"""

import argparse
import json
import os
import statistics
import sys
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "compare"))

import contenders  # noqa: E402
import figures  # noqa: E402
import report  # noqa: E402
import shedding  # noqa: E402
from quiet import undisturbed  # noqa: E402
from server import Server  # noqa: E402

MEMORY = {f"{n} connections": n for n in (32, 256, 2000)}
# Of a handler that uses a CPU for 1 ms. Without a rate a connection asks again as soon as it has
# its answer, whatever that was; two CPUs answer at most 2,000 requests a second.
CPU = {
    "32 connections": ["-c", 32],
    "256 connections": ["-c", 256],
    "2000 connections": ["-c", 2000],
    "4000 requests a second": ["-c", 2000, "-r", 4000],
    "20000 requests a second": ["-c", 2000, "-r", 20000],
}
SERVERS = {
    "weir": contenders.weir(),
    "weir, not shedding": contenders.weir("--shed", "no"),
    "Go": [contenders.GO],
}


def say(words):
    print(words, file=sys.stderr, flush=True)


def steps_of_a_millisecond():
    """As the service has measured them: so all servers are asked for the same work."""
    with Server(SERVERS["weir"]) as server:
        url = f"http://127.0.0.1:{server.port}/bench/cpu?us=1000"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return json.load(answer)["steps"]


def from_memory(command, connections, seconds):
    with Server(command) as server:
        return contenders.ask_fast(server, "/bench/memory", connections, seconds)


def by_cpu(command, path, args, seconds):
    """Answers a second, their p99 in ms, and how long one takes where nothing else happens."""
    with Server(command) as server:
        lone = contenders.ask(server, path, "-c", 1, "-s", 0.2)
        got = contenders.ask(server, path, *args, "-s", seconds + 1, "-w", 1)
    return got["rate"], got["fine"]["p99"] / 1000, lone["fine"]["p50"] / 1000


def measure(rounds, seconds, finish_round):
    """After each round it calls finish_round with
    {(handler, load, server): [what the two above return, ...]}, and what others used of the CPUs in
    each of these measurements."""
    found, others = {}, []
    path = f"/bench/cpu?steps={steps_of_a_millisecond()}"

    def note(key, fn, *args):
        got, disturbance = undisturbed(lambda: fn(*args))
        found.setdefault(key, []).append(got)
        others.append(disturbance)

    for turn in range(rounds):
        names = list(SERVERS)
        names = names[turn % len(names) :] + names[: turn % len(names)]
        for load, connections in MEMORY.items():
            say(f"round {turn + 1} of {rounds}: from memory, {load}")
            for name in names:
                if name != "weir, not shedding":
                    key = ("memory", load, name)
                    note(key, from_memory, SERVERS[name], connections, seconds)
        for load, args in CPU.items():
            say(f"round {turn + 1} of {rounds}: 1 ms of a CPU, {load}")
            for name in names:
                note(("cpu", load, name), by_cpu, SERVERS[name], path, args, seconds)
        finish_round(turn + 1, found, others)


def median(found, handler, load, name):
    return [statistics.median(column) for column in zip(*found[handler, load, name])]


def table(found, handler, loads, names):
    rows = []
    for load in loads:
        row = [load]
        for name in names:
            rate, p99 = median(found, handler, load, name)[:2]
            row += [f"{rate:.0f}", report.number(p99)]
        rows.append(row)
    headings = [""] + [h for name in names for h in (f"{name}: a second", "p99, ms")]
    return report.table(headings, rows)


def goals(found):
    """At least Go's throughput; and of what is answered under overload, at most half its p99."""
    rows = []
    for handler, loads in (("memory", MEMORY), ("cpu", CPU)):
        for load in loads:
            own, go = (median(found, handler, load, name) for name in ("weir", "Go"))
            for what, i, met, limit in (
                ("answers a second", 0, own[0] >= go[0], "at least 1"),
                ("p99", 1, own[1] <= go[1] / 2, "at most 0.5"),
            ):
                if what == "p99" and handler == "memory":
                    continue
                name = "from memory" if handler == "memory" else "1 ms of a CPU"
                rows.append(
                    [f"{name}, {load}: {what}, weir / Go", limit, report.number(own[i] / go[i]),
                     "met" if met else "MISSED"]
                )  # fmt: skip
    return report.table(["", "wanted", "got", ""], rows)


def render(found, others, rounds, load):
    alone = {name: min(got[2] for load in CPU for got in found["cpu", load, name])
             for name in SERVERS}  # fmt: skip
    times = ", ".join(f"{name} {ms:.2f} ms" for name, ms in alone.items())
    usual, worst = statistics.median(others), max(others)
    return f"""# The service beside Go's net/http

{report.machine()}. Medians of {rounds} interleaved rounds; load before the run: {load:.2f}. Other
programs used {usual:.2f} CPUs meanwhile, {worst:.2f} in the worst of the measurements.

### A document of one KiB from memory

wrk, one thread: each connection asks again as soon as it has its answer.

{table(found, "memory", MEMORY, ["weir", "Go"])}

### A handler that uses a CPU for 1 ms

As many at once as there are CPUs, 256 that wait, 503 for the others. Counted are answers with 200.
One request at a time takes: {times}.

{table(found, "cpu", CPU, list(SERVERS))}

### Goals

{goals(found)}
"""


def draw(found):
    rows = [(load, name) for load in CPU for name in SERVERS]
    body = [
        figures.text(
            figures.LABELS - 8, figures.TOP + i * figures.ROW + 12,
            f"{load}: {name}" if name == "weir" else name, "e",
        )
        for i, (load, name) in enumerate(rows)
    ]  # fmt: skip
    values = [(median(found, "cpu", load, name)[1], name == "weir") for load, name in rows]
    body += figures.column(values, figures.LABELS, figures.WIDTH, logarithmic=True)
    height = figures.TOP + figures.ROW * len(rows) + 6
    title = "How long those wait who are not refused"
    subtitle = (
        "p99 in ms of the answers of a handler that uses a CPU for 1 ms; "
        "less is better; the lengths are logarithms"
    )
    return "\n".join(figures.svg(height, title, subtitle, body)) + "\n"


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench/service/run", description=__doc__)
    parser.add_argument("-q", dest="quick", action="store_true", help="one short round")
    parser.add_argument("-s", dest="shedding", action="store_true", help="only that picture")
    parser.add_argument("-r", dest="rounds", type=int, default=5)
    parser.add_argument("-o", dest="output", default="", help="where tables and pictures go")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("-r: at least 1")
    return arguments


def main():
    arguments = parse_arguments()
    load = os.getloadavg()[0]
    contenders.build()
    output = contenders.BUILD if arguments.quick else contenders.ROOT / "docs/figures"
    output = Path(arguments.output or output)
    output.mkdir(parents=True, exist_ok=True)
    picture = shedding.picture(1 if arguments.quick else 4)
    (output / "service-shedding.svg").write_text(picture, encoding="utf-8")
    if arguments.shedding:
        return
    rounds, seconds = (1, 1) if arguments.quick else (arguments.rounds, 2)

    def finish_round(n, found, others):
        """What was measured so far is worth having if the next round is interrupted."""
        words = render(found, others, n, load)
        (output / "service").with_suffix(".md").write_text(words, encoding="utf-8")
        (output / "service-overload.svg").write_text(draw(found), encoding="utf-8")
        if n == rounds:
            print(words)

    measure(rounds, seconds, finish_round)


main()
