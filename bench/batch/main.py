# SPDX-License-Identifier: MIT
"""Runs the same batches by weir, xargs, parallel, make and a bare loop, in turns, and writes a
table and a picture of the medians. See bench/batch/run."""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/bench-batch"
sys.path.insert(0, str(ROOT / "bench/compare"))

import figures  # noqa: E402
import report  # noqa: E402

SLOTS = 2


def say(text):
    print(text, file=sys.stderr, flush=True)


class Batch:
    """One piece of work, and the command of each peer that does it."""

    def __init__(self, key, title, unit, commands, amounts=None, more_is_better=False):
        self.key, self.title, self.unit, self.commands = key, title, unit, commands
        self.amounts = amounts or {}  # how many jobs a run is: the figure is jobs a second
        self.more_is_better = more_is_better
        self.values = {peer: [] for peer in commands}

    def figure(self, peer, seconds):
        if peer in self.amounts:
            return self.amounts[peer] / seconds
        return seconds * (1000 if self.unit == "ms" else 1)

    def median(self, peer):
        values = self.values.get(peer)
        return statistics.median(values) if values else None


def words_of_xargs(jobs, *command):
    return f"seq {jobs} | xargs -P{SLOTS} -n1 {' '.join(command)}"


def make_file(folder, jobs):
    """A makefile of so many targets that run /bin/true."""
    path = folder / f"makefile.{jobs}"
    names = " ".join(f"t{n}" for n in range(jobs))
    path.write_text(f"all: {names}\n.PHONY: all {names}\n{names}:\n\t@/bin/true $@\n")
    return path


def batches(weir, loop, folder, quick):
    many = 200 if quick else 2000
    few = 60 if quick else 300  # for parallel, which would take most of the time
    outputs = 10 if quick else 100
    sleepers = 50 if quick else 500
    found = []
    found.append(
        Batch(
            "jobs",
            f"/bin/true, {SLOTS} at once",
            "jobs/s",
            {
                "loop": [loop, str(SLOTS), str(many), "/bin/true", "1"],
                "weir": ["sh", "-c", f"seq {many} | {weir} run -j{SLOTS} /bin/true"],
                "xargs": ["sh", "-c", words_of_xargs(many, "/bin/true")],
                "make": ["make", "-s", f"-j{SLOTS}", "-f", str(make_file(folder, many))],
                "parallel": ["sh", "-c", f"seq {few} | parallel -j{SLOTS} /bin/true"],
            },
            {"loop": many, "weir": many, "xargs": many, "make": many, "parallel": few},
            more_is_better=True,
        )
    )
    found.append(
        Batch(
            "shell",
            f"a line of sh, {SLOTS} at once",
            "jobs/s",
            {
                "weir": ["sh", "-c", f"seq {many} | {weir} run -j{SLOTS} 'true {{}}; true'"],
                "xargs": ["sh", "-c", words_of_xargs(many, "sh -c 'true $1; true' sh")],
                "parallel": ["sh", "-c", f"seq {few} | parallel -j{SLOTS} 'true {{}}; true'"],
            },
            {"weir": many, "xargs": many, "parallel": few},
            more_is_better=True,
        )
    )
    found.append(
        Batch(
            "start",
            "from start to end, one job",
            "ms",
            {
                "weir": ["sh", "-c", f"echo 1 | {weir} run -j2 /bin/true"],
                "xargs": ["sh", "-c", "echo 1 | xargs -P2 -n1 /bin/true"],
                "make": ["make", "-s", "-f", str(make_file(folder, 1))],
                "parallel": ["sh", "-c", "echo 1 | parallel -j2 /bin/true"],
            },
        )
    )
    found.append(
        Batch(
            "output",
            f"{outputs} jobs of 10 MB of output, grouped",
            "s",
            {
                "weir": [
                    "sh", "-c", f"seq {outputs} | {weir} run -j{SLOTS} {folder}/ten >{folder}/o"
                ],
                "parallel": [
                    "sh",
                    "-c",
                    f"seq {outputs} | parallel --group -j{SLOTS} {folder}/ten >{folder}/o",
                ],
            },
        )
    )
    found.append(
        Batch(
            "sleep",
            f"{sleepers} jobs that sleep for a second, all at once",
            "s",
            {
                "weir": ["sh", "-c", f"yes 1 | head -n {sleepers} | {weir} run -j{sleepers} sleep"],
                "xargs": ["sh", "-c", f"yes 1 | head -n {sleepers} | xargs -P{sleepers} -n1 sleep"],
                "parallel": [
                    "sh",
                    "-c",
                    f"yes 1 | head -n {sleepers} | parallel -j{sleepers} sleep",
                ],
            },
        )
    )
    return found


NAMES = {
    "loop": "a loop around posix_spawn",
    "weir": "weir run",
    "xargs": "xargs -P",
    "make": "make -j",
    "parallel": "GNU parallel",
}
# Batch, peer, and how many times its figure weir's has to be at least (or, for times, at most).
GOALS = (
    ("jobs", "loop", "at least", 0.9),
    ("jobs", "xargs", "at least", 1.15),
    ("jobs", "parallel", "at least", 7),
    ("start", "xargs", "at most", 1.5),
    ("output", "parallel", "at most", 1),
)
SLEEP_LIMIT_S = 1.3
MEMORY_LIMIT_MB = 32


def build(arguments):
    """The program to measure, and the bare loop."""
    BUILD.mkdir(parents=True, exist_ok=True)
    loop = BUILD / "spawn_loop"
    source = ROOT / "bench/batch/spawn_loop.c"
    subprocess.run(
        ["cc", "-std=c11", "-D_GNU_SOURCE", "-O2", "-o", loop, source], check=True
    )
    if arguments.weir:
        return str(Path(arguments.weir).resolve()), str(loop)
    weir_build = BUILD / "weir"
    if not (weir_build / "build.ninja").exists():
        command = ["meson", "setup", "--buildtype=release", "-Dcli=enabled"]
        command += [f"-D{part}=disabled" for part in ("tests", "examples", "bench")]
        subprocess.run([*command, weir_build, ROOT], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["meson", "compile", "-C", weir_build], check=True, stdout=subprocess.DEVNULL)
    return str(weir_build / "cli/weir"), str(loop)


def once(command, folder):
    began = time.perf_counter()
    ran = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, check=False)
    seconds = time.perf_counter() - began
    if ran.returncode != 0:
        raise SystemExit(f"exit status {ran.returncode}: {' '.join(map(str, command))}")
    return seconds


def measure(found, folder, rounds, quick, finish_round):
    for number in range(rounds):
        say(f"Round {number + 1} of {rounds}")
        for batch in found:
            peers = list(batch.commands)
            shift = number % len(peers)
            for peer in peers[shift:] + peers[:shift]:
                # What takes milliseconds is run more often, and its best run counts.
                times = 1 if batch.unit != "ms" or quick else 9
                seconds = min(once(batch.commands[peer], folder) for _ in range(times))
                batch.values[peer].append(batch.figure(peer, seconds))
                if batch.key == "output":
                    check_output(folder, batch)
        finish_round(number + 1)


def check_output(folder, batch):
    wanted = int(batch.title.split()[0]) * 10_000_000
    size = (folder / "o").stat().st_size
    (folder / "o").unlink()
    if size != wanted:
        raise SystemExit(f"{size} bytes of output, not {wanted}")


def memory_of_many(weir, quick):
    """Megabytes at the most, while ten million records go through."""
    chunk = b"".join(b"record number %d\n" % n for n in range(100000))
    command = [weir, "run", "-n", "10000", "true"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:

        def write():
            with process.stdin as file:
                for _ in range(1 if quick else 100):
                    file.write(chunk)

        thread = threading.Thread(target=write)
        thread.start()
        peak = 0
        while process.poll() is None:
            try:
                text = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
                peak = max([peak, *(int(s.split()[1]) for s in text.splitlines() if "VmHWM" in s)])
            except OSError:
                break
            time.sleep(0.01)
        thread.join()
    if process.returncode != 0:
        raise SystemExit(f"exit status {process.returncode}: {' '.join(command)}")
    return peak / 1024


def idle_time(weir):
    """Seconds of processor time in two seconds, while four jobs sleep."""
    command = [weir, "run", "-j4", "sleep", ":::", "3", "3", "3", "3"]
    with subprocess.Popen(command) as process:

        def used():
            text = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii")
            fields = text.rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        time.sleep(0.5)
        before = used()
        time.sleep(2)
        return used() - before


def goals(found, memory, idle, quick):
    by_key = {batch.key: batch for batch in found}
    rows = []

    def row(what, wanted, got, met):
        rows.append([what, wanted, report.number(got), "met" if met else "MISSED"])

    for key, peer, direction, limit in GOALS:
        batch = by_key[key]
        if batch.median(peer) is None:
            continue
        ratio = batch.median("weir") / batch.median(peer)
        met = ratio >= limit if direction == "at least" else ratio <= limit
        row(f"{batch.title}: weir / {NAMES[peer]}", f"{direction} {limit}", ratio, met)
    seconds = by_key["sleep"].median("weir")
    if not quick:
        row(by_key["sleep"].title, f"at most {SLEEP_LIMIT_S} s", seconds, seconds <= SLEEP_LIMIT_S)
    row(
        "memory at the most, ten million records",
        f"at most {MEMORY_LIMIT_MB} MB",
        memory,
        memory <= MEMORY_LIMIT_MB,
    )
    row("processor time in 2 s while jobs sleep", "0 s", idle, idle == 0)
    return rows


def render(found, rows, rounds, load):
    parts = [
        "# weir run beside others\n",
        f"{report.machine()}. Medians of {rounds} interleaved rounds, smallest and largest value; "
        f"load before the run: {load:.2f}.\n",
    ]
    for batch in found:
        best = sorted(
            (peer for peer in batch.commands if batch.values[peer]),
            key=batch.median,
            reverse=batch.more_is_better,
        )
        own = batch.median("weir")
        table = [
            [
                NAMES[peer],
                report.number(batch.median(peer)),
                report.number(batch.median(peer) / own),
                f"{report.number(min(batch.values[peer]))}"
                f"..{report.number(max(batch.values[peer]))}",
            ]
            for peer in best
        ]
        headings = ["", batch.unit, "ratio", "spread"]
        parts.append(f"### {batch.title}\n\n" + report.table(headings, table) + "\n")
    parts.append("### Goals\n\n" + report.table(["", "wanted", "got", ""], rows) + "\n")
    return "\n".join(parts)


def draw(found):
    """Bars: how many jobs a second, the most on top."""
    batch = next(batch for batch in found if batch.key == "jobs")
    peers = sorted(
        (peer for peer in batch.commands if batch.values[peer]), key=batch.median, reverse=True
    )
    body = [
        figures.text(figures.LABELS - 8, figures.TOP + i * figures.ROW + 12, NAMES[peer], "e")
        for i, peer in enumerate(peers)
    ]
    bars = [(batch.median(peer), peer == "weir") for peer in peers]
    body += figures.column(bars, figures.LABELS, figures.WIDTH)
    height = figures.TOP + figures.ROW * len(peers) + 6
    return figures.svg(height, f"Jobs a second: {batch.title}", "more is better", body)


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench/batch/run", description=__doc__)
    parser.add_argument("-q", dest="quick", action="store_true", help="a tenth, two rounds")
    parser.add_argument("-r", dest="rounds", type=int, default=0, help="rounds, 7 unless said")
    parser.add_argument("-o", dest="output", default="", help="where table and picture go")
    parser.add_argument("-W", dest="weir", default="", help="measure this program")
    arguments = parser.parse_args()
    if arguments.rounds < 0:
        parser.error("-r: at least 1")
    arguments.rounds = arguments.rounds or (2 if arguments.quick else 7)
    return arguments


def main():
    arguments = parse_arguments()
    load = os.getloadavg()[0]
    weir, loop = build(arguments)
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as name:
        folder = Path(name)
        home = folder / "parallel"
        home.mkdir()
        (home / "will-cite").touch()
        os.environ["PARALLEL_HOME"] = str(home)
        ten = folder / "ten"
        ten.write_text("#!/bin/sh\nexec head -c 10000000 /dev/zero\n")
        ten.chmod(0o755)
        found = batches(weir, loop, folder, arguments.quick)
        for batch in found:
            for peer in ("xargs", "make", "parallel"):
                if not shutil.which(peer) and batch.commands.pop(peer, None):
                    say(f"{peer} is not installed: left out of {batch.title}")
        memory, idle = memory_of_many(weir, arguments.quick), idle_time(weir)
        output = Path(arguments.output or (BUILD if arguments.quick else ROOT / "docs/figures"))
        output.mkdir(parents=True, exist_ok=True)

        def finish_round(rounds):
            """What was measured so far is worth having if the next round is interrupted."""
            rows = goals(found, memory, idle, arguments.quick)
            text = render(found, rows, rounds, load)
            (output / "batch").with_suffix(".md").write_text(text, encoding="utf-8")
            (output / "batch.svg").write_text("\n".join(draw(found)) + "\n", encoding="utf-8")
            return text

        measure(found, folder, arguments.rounds, arguments.quick, finish_round)
        print(finish_round(arguments.rounds))
    return 0


sys.exit(main())
