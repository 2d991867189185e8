#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes a copy of a source file with a bug in it.

A bug is a file that says what it breaks, and then the change as a diff without line numbers:

    A sentence or two.
    --- src/folder/file.c
     what stays
    -what goes
    +what comes

What stays and goes must be in the file, exactly once: a bug that no longer fits is an error.

The copy of a header is written a second time, into FOLDER under the name by which it is included.

Usage: plant.py BUG SOURCE OUTPUT [FOLDER]
"""

import sys
from pathlib import Path


def read_bug(path):
    """The file's name below src/, what is to be found in it, and what takes its place."""
    found, placed, name = [], [], None
    lines = iter(path.read_text().splitlines(keepends=True))
    for line in lines:
        if line.startswith("--- src/"):
            name = line[len("--- src/") :].strip()
            break
    for line in lines:
        if line[0] not in " -+":
            sys.exit(f"{path}: each line of the change begins with a blank, - or +")
        if line[0] != "+":
            found.append(line[1:])
        if line[0] != "-":
            placed.append(line[1:])
    return name, "".join(found), "".join(placed)


def main():
    bug, source, output, *folder = map(Path, sys.argv[1:])
    name, found, placed = read_bug(bug)
    text = source.read_text()
    times = text.count(found)
    if times != 1 or found == placed:
        sys.exit(f"{bug}: what it changes is {times} times in {source}, not once")
    copies = [output] + [f / name for f in folder]
    for copy in copies:
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text.replace(found, placed))


if __name__ == "__main__":
    main()
