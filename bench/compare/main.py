# SPDX-License-Identifier: MIT
"""Builds the peers, runs them in turns, writes numbers, tables and pictures. See bench/run."""

import argparse
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import figures
import process
import programs
import report
import workloads
from results import Results

QUIET_LOAD = 0.3
HALF_A_SECOND_NS = 5e8
LARGEST_FACTOR = 400
GROUP_SIZE = 8

# Instructions: the difference between two runs of different length, so that the start drops out.
CALLGRIND_N = (20000, 40000)
CALLGRIND = (
    ("weir, a task of w1", "weir", "flood1"),
    ("mutex ring, a task of w1", "mutex", "flood1"),
    ("weir, a task waited for inside a task", "weir", "trip_inside"),
    ("weir, a task waited for outside, helping", "weir-helping", "trip_outside"),
    ("weir_ring, a push and a pop", "ring-weir", "pair:1024"),
    ("Vyukov, a push and a pop", "ring-vyukov", "pair:1024"),
)


def say(text):
    print(text, file=sys.stderr, flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("-q", dest="quick", action="store_true", help="a hundredth, one round")
    parser.add_argument("-i", dest="instructions", action="store_true", help="run callgrind too")
    parser.add_argument("-l", dest="list", action="store_true", help="list workloads and peers")
    parser.add_argument("-r", dest="rounds", type=int, default=0, help="rounds, 5 unless said")
    parser.add_argument("-w", dest="workloads", default="", help="only these, comma-separated")
    parser.add_argument("-p", dest="peers", default="", help="only these and weir")
    parser.add_argument("-d", dest="draw", action="store_true", help="only draw the last run again")
    parser.add_argument("-o", dest="output", default="", help="where all results go")
    arguments = parser.parse_args()
    if arguments.rounds < 0:
        parser.error("-r: at least 1")
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 5)
    for option, given, known in (
        ("-w", arguments.workloads, {workload.key for workload in workloads.ALL}),
        ("-p", arguments.peers, set(programs.PEERS)),
    ):
        unknown = [name for name in given.split(",") if name and name not in known]
        if unknown:
            parser.error(f"{option}: no {', '.join(unknown)}; -l lists what there is")
    return arguments


def choose(arguments):
    """The workloads to run, each with the peers to run it with."""
    wanted = set(filter(None, arguments.workloads.split(",")))
    peers = set(filter(None, arguments.peers.split(",")))
    chosen = []
    for workload in workloads.ALL:
        if wanted and workload.key not in wanted:
            continue
        own = tuple(
            peer
            for peer in workload.peers
            if not peers or peer in peers or peer.startswith(("weir", "ring-weir"))
        )
        chosen.append(workloads.Workload(**{**vars(workload), "peers": own}))
    return chosen


def build(chosen):
    """Returns the command of each program that could be built, and why the others could not."""
    needed = {programs.PEERS[peer].program for workload in chosen for peer in workload.peers}
    say(f"Building in {programs.BUILD}")
    library = programs.build_weir()
    commands, skipped = {}, {}
    for name in sorted(needed):
        try:
            commands[name] = programs.build_program(name, library)
        except programs.BuildError as error:
            skipped[name] = str(error)
            say(f"  {name} is left out: {error}")
    return commands, skipped


class Run:
    def __init__(self, chosen, commands, arguments):
        self.chosen = chosen
        self.commands = commands
        self.quick = arguments.quick
        self.results = Results()
        self.hidden = set()
        self.sizes = {}
        self.wrong = []

    def once(self, workload, name, n):
        peer = programs.PEERS[name]
        command = [*self.commands[peer.program], *peer.forms, workload.name, str(n)]
        return process.run(command, workload.time_out_s)

    def size(self, workload, name):
        """How much of the workload one run is. None if a first look shows that it will not end."""
        n = workload.quick_n if self.quick else workload.n
        if not workload.half_a_second or self.quick:
            return n
        outcome = self.once(workload, name, n // 10)
        if outcome.failure:
            self.note(workload, name, outcome)
            return None
        tasks = GROUP_SIZE if workload.key.startswith("w9") else 1
        each = max(outcome.metrics["ns_per_task"], 1.0) * tasks
        return int(min(max(n, HALF_A_SECOND_NS / each), n * LARGEST_FACTOR))

    def note(self, workload, name, outcome):
        if outcome.other_form:
            self.hidden.add((workload.key, name))
            return
        self.results.fail(workload.key, name, outcome.failure)
        say(f"  {workload.key} {name}: {outcome.failure}")
        if outcome.wrong:
            self.wrong.append(f"{workload.key} {name}: {outcome.failure}")

    def turn(self, workload, name, round_number):
        key = (workload.key, name)
        if programs.PEERS[name].program not in self.commands:
            return
        if key in self.hidden or key in self.results.failures:
            return
        if key not in self.sizes:
            self.sizes[key] = self.size(workload, name)
        if self.sizes[key] is None:
            return
        outcome = self.once(workload, name, self.sizes[key])
        if outcome.failure:
            self.note(workload, name, outcome)
        else:
            self.results.add(workload.key, name, round_number, outcome.metrics)

    def round(self, round_number):
        for workload in self.chosen:
            say(f"  {workload.title}")
            shift = (round_number - 1) % max(len(workload.peers), 1)
            for name in workload.peers[shift:] + workload.peers[:shift]:
                self.turn(workload, name, round_number)


def count_instructions(commands):
    """Pairs of a name and how many instructions one more task or item takes."""
    counted = []
    for title, name, workload in CALLGRIND:
        peer = programs.PEERS[name]
        if peer.program not in commands:
            continue
        totals = []
        for n in CALLGRIND_N:
            command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
            command += ["--fair-sched=yes", *commands[peer.program], *peer.forms, workload, str(n)]
            try:
                ran = subprocess.run(command, capture_output=True, text=True, check=False)
            except OSError as error:
                say(f"  no instructions are counted: {command[0]}: {error.strerror}")
                return []
            found = re.search(r"Collected : (\d+)", ran.stderr)
            if ran.returncode != 0 or not found:
                say(f"  {title}: callgrind failed")
                break
            totals.append(int(found[1]))
        if len(totals) == len(CALLGRIND_N):
            extra = CALLGRIND_N[1] - CALLGRIND_N[0]
            if workload.startswith("pair"):
                extra += extra // 10  # pairs are preceded by a tenth that is not timed
            counted.append((title, (totals[1] - totals[0]) / extra))
    return counted


def print_list():
    print("workloads:")
    for workload in workloads.ALL:
        print(f"  {workload.key:18} {workload.title}")
    print("peers:")
    for name, peer in programs.PEERS.items():
        print(f"  {name:22} {peer.label}")


def folders(arguments):
    """Where the numbers of each round go, and where the table and the pictures go."""
    if arguments.output:
        return Path(arguments.output), Path(arguments.output)
    if arguments.quick:
        return programs.BUILD / "quick", programs.BUILD / "quick"
    return programs.BUILD / "figures", programs.ROOT / "docs/figures"


def write(run, numbers, folder, skipped, rounds, instructions, load):
    numbers.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    for name, ring in (("pools", False), ("rings", True)):
        part = [workload for workload in run.chosen if workload.ring == ring]
        if part:
            run.results.write_csv(numbers / f"{name}.csv", part)
    text = report.render(run.results, run.chosen, skipped, rounds, instructions, load)
    (folder / "table").with_suffix(".md").write_text(text, encoding="utf-8")
    return text


def draw_again(numbers, folder):
    results = Results()
    found = [numbers / f"{name}.csv" for name in ("pools", "rings")]
    for path in found:
        if path.is_file():
            results.read_csv(path)
    if not results.rows:
        say(f"No numbers in {numbers}")
        return 1
    figures.draw_all(results, workloads.ALL, folder)
    say(f"Drawn in {folder}")
    return 0


def main():
    arguments = parse_arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whose program is not left behind
    if arguments.list:
        print_list()
        return 0
    numbers, folder = folders(arguments)
    if arguments.draw:
        return draw_again(numbers, folder)
    chosen = choose(arguments)
    load = os.getloadavg()[0]
    try:
        commands, skipped = build(chosen)
    except programs.BuildError as error:
        say(f"The library cannot be built: {error}")
        return 1
    if load > QUIET_LOAD and not arguments.quick:
        say(f"The machine is not quiet (load {load:.2f}): the numbers will say little.")
    run = Run(chosen, commands, arguments)
    done = 0
    try:
        for round_number in range(1, arguments.rounds + 1):
            say(f"Round {round_number} of {arguments.rounds}")
            run.round(round_number)
            done = round_number
            write(run, numbers, folder, skipped, done, [], load)
        instructions = count_instructions(commands) if arguments.instructions else []
    except KeyboardInterrupt:
        say(f"Interrupted; the numbers of {done} rounds are in {numbers}")
        return 130
    print(write(run, numbers, folder, skipped, done, instructions, load))
    figures.draw_all(run.results, chosen, folder)
    say(f"The table and the pictures are in {folder}, the numbers of each round in {numbers}")
    for problem in run.wrong:
        say(problem)
    return 1 if run.wrong else 0


sys.exit(main())
