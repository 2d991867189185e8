#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs what must find each planted bug, and says what found it and after how many schedules.

The explorer must find every bug. A bug that real threads can show has a test with threads too,
which must fail, or hang, or crash. What threads find depends on luck and on the machine: each test
is tried again for a while, and at least half of the bugs must be found.

Usage: find.py (BUG EXPLORER [TEST])...
"""

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BUDGET = 30  # seconds, after which no other try is made
SECONDS = 8  # for each try, where a test lets us say so
PATIENCE = 3  # seconds without progress, and a test is taken for stuck
STUCK = 25  # seconds, and it is taken for stuck whatever it says


def explorer_finds(program):
    """How many schedules it took, or None; and what to say about it."""
    done = subprocess.run([program, "--hunt"], capture_output=True, text=True)
    told = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "it crashed"
    found = re.match(r"found after (\d+) schedules", told)
    return int(found.group(1)) if found else None, told


def threads_find(program):
    """Whether a test with threads fails; and after how long."""
    environment = dict(
        os.environ,
        WEIR_STRESS_SECONDS=str(SECONDS),
        WEIR_STRESS_PATIENCE=str(PATIENCE),
        CK_FORK="no",
    )
    started = time.monotonic()
    while time.monotonic() - started < BUDGET:
        try:
            done = subprocess.run([program], capture_output=True, env=environment, timeout=STUCK)
            failed = done.returncode != 0
        except subprocess.TimeoutExpired:
            failed = True
        if failed:
            return True, f"{time.monotonic() - started:.1f} s"
    return False, f"not in {time.monotonic() - started:.0f} s"


def read_arguments(arguments):
    """[bug, explorer, test with threads or None] for each bug."""
    bugs = []
    for argument in arguments:
        if "/" not in argument:
            bugs.append([argument, None, None])
        else:
            bugs[-1][1 if bugs[-1][1] is None else 2] = argument
    return bugs


def find_all(bugs):
    """What explorer_finds and threads_find say of each bug, in turn.

    The explorer keeps one CPU busy. A test with threads mostly waits until it may be taken for
    stuck, so two of them run beside it.
    """
    explorers = ThreadPoolExecutor(max(1, len(os.sched_getaffinity(0)) - 1))
    threads = ThreadPoolExecutor(2)
    finds = [
        (
            explorers.submit(explorer_finds, explorer),
            threads.submit(threads_find, stress) if stress is not None else None,
        )
        for _, explorer, stress in bugs
    ]
    for by_explorer, by_threads in finds:
        yield by_explorer.result(), by_threads.result() if by_threads is not None else None


def main():
    bugs = read_arguments(sys.argv[1:])
    schedules, by_threads, missed = [], 0, []
    with_threads = sum(stress is not None for _, _, stress in bugs)
    for (bug, _, stress), (by_explorer, by_stress) in zip(bugs, find_all(bugs)):
        taken, told = by_explorer
        print(f"{bug}\n    explorer: {told}", flush=True)
        if taken is None:
            missed.append(bug)
        else:
            schedules.append(taken)
        if stress is None:
            continue
        found, told = by_stress
        print(f"    {Path(stress).name.split('_')[0]}: {told}", flush=True)
        by_threads += found
    if missed:
        print("not found by the explorer:", ", ".join(missed))
    if 2 * by_threads < with_threads:
        print("threads find too few")
    print(
        f"planted: {len(bugs)} bugs, {len(schedules)} found by the explorer after "
        f"{min(schedules, default=0)} to {max(schedules, default=0)} schedules, {by_threads} of "
        f"{with_threads} by threads"
    )
    return 1 if missed or 2 * by_threads < with_threads else 0


if __name__ == "__main__":
    sys.exit(main())
