#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that the library has the probes that src/os/probe.h names, with as many arguments as it
says, and each with a semaphore: that of task_start is that of task_end too.

Usage: notes.py READELF LIBRARY HEADER
"""

import re
import subprocess
import sys
from pathlib import Path

NOTE = re.compile(
    r"Provider: weir\s+Name: (\w+)\s+Location: \S+ Base: \S+ Semaphore: (\w+)\s+Arguments: ?(.*)"
)
ROW = re.compile(r"^ \*   (\w+)  +(\w+(?:, \w+)*)(?:  |$)", re.M)


def main():
    readelf, library, header = sys.argv[1:]
    documented = {
        name: len(arguments.split(", "))
        for name, arguments in ROW.findall(Path(header).read_text())
    }
    notes = subprocess.run(
        [readelf, "--notes", "--wide", library], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    found = NOTE.findall(notes)
    problems, semaphores = [], {}
    for name, semaphore, arguments in found:
        if documented.get(name) != len(arguments.split()):
            problems.append(f"{name} has the arguments {arguments}, not {documented.get(name)}")
        owner = "task_start" if name == "task_end" else name
        if int(semaphore, 16) == 0 or semaphores.setdefault(semaphore, owner) != owner:
            problems.append(f"{name} has not the semaphore {semaphore} of {owner}")
    missing = set(documented) - {name for name, _, _ in found}
    problems += [f"{name} is documented, and not there" for name in sorted(missing)]
    if len(documented) < 8:
        problems.append(f"{header} documents {sorted(documented)} only")
    print(*problems, sep="\n", end="\n" if problems else "")
    print(f"{len(found)} probes, of {len(documented)} names")
    return 1 if problems else 0


sys.exit(main())
