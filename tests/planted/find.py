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


def main():
    bugs = read_arguments(sys.argv[1:])
    schedules, by_threads, missed = [], 0, []
    with_threads = sum(stress is not None for _, _, stress in bugs)
    for bug, explorer, stress in bugs:
        taken, told = explorer_finds(explorer)
        print(f"{bug}\n    explorer: {told}", flush=True)
        if taken is None:
            missed.append(bug)
        else:
            schedules.append(taken)
        if stress is None:
            continue
        found, told = threads_find(stress)
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
