#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Attaches gdb to each probe of a program, and checks the arguments that it finds there. Like every
tool, gdb raises a probe's semaphore, without which the program would pass it by.

Usage: values.py GDB PROGRAM      exits with 77 where gdb may not run the program
"""

import re
import subprocess
import sys
import tempfile

PROBES = {"task_submit": 3, "task_reject": 2, "task_start": 3, "task_end": 5, "worker_park": 2,
          "worker_wake": 2, "breaker_change": 3, "retry": 3}
MS = 1000000
DONE, FAILED = 3, 4
EIO, EPIPE = -5, -32
CLOSED, OPEN = 0, 1


def script():
    yield from ("set pagination off", "set confirm off", "set breakpoint pending on",
                "set debuginfod enabled off", "start")
    for name, count in PROBES.items():
        numbers = " ".join(["%ld"] * count)
        values = ", ".join(f"(long)$_probe_arg{i}" for i in range(count))
        yield from (f"break -probe-stap weir:{name}", "commands", "silent",
                    f'printf "{name} {numbers}\\n", {values}', "continue", "end")
    yield "continue"


def main():
    gdb, program = sys.argv[1:]
    with tempfile.NamedTemporaryFile("w", suffix=".gdb") as file:
        file.write("\n".join(script()) + "\n")
        file.flush()
        command = [gdb, "--batch", "-nx", "-x", file.name, program]
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if "ptrace" in run.stdout and "not permitted" in run.stdout:
        return 77
    where = re.search(r"pool (\S+) fails (\S+) sleeps (\S+) breaker (\S+)", run.stdout)
    if where is None or "exited normally" not in run.stdout:
        print(run.stdout)
        return 1
    pool, _, sleeps, breaker = (int(a, 16) for a in where.groups())
    seen = {name: [] for name in PROBES}
    for name, values in re.findall(r"^(\w+)((?: -?\d+)+)$", run.stdout, re.M):
        if name in seen:
            seen[name].append([int(v) for v in values.split()])

    problems = []

    def expect(condition, name):
        if not condition:
            problems.append(f"{name}: {seen[name]}")

    runs = seen["task_end"]
    expect([s[0] for s in seen["task_submit"]] == [pool, pool]
           and seen["task_submit"][0][1] == sleeps, "task_submit")
    expect(len(seen["task_start"]) == 3 and all(s[0] == pool and s[2] >= 0
                                                for s in seen["task_start"]), "task_start")
    expect(len(runs) == 3 and all(r[0] == pool and r[2] >= 0 for r in runs), "task_end")
    expect([r[3:] for r in runs] == [[DONE, 0], [FAILED, EIO], [FAILED, EIO]], "task_end")
    expect(runs and runs[0][1] == sleeps and runs[0][2] >= 20 * MS, "task_end")
    expect([pool, EPIPE] in seen["task_reject"], "task_reject")
    expect(seen["retry"] and seen["retry"][0][:2] == [pool, EIO]
           and 0 < seen["retry"][0][2] <= 50 * MS, "retry")
    expect(seen["breaker_change"] == [[breaker, CLOSED, OPEN]], "breaker_change")
    for name in ("worker_park", "worker_wake"):
        expect(seen[name] and all(s == [pool, 0] for s in seen[name]), name)
    print(*problems, sep="\n", end="\n" if problems else "")
    print(sum(map(len, seen.values())), "times at a probe")
    return 1 if problems else 0


sys.exit(main())
