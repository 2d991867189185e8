#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that the files and functions of libraries and program are short enough to be read at once.

A function's lines are those from its opening brace to its closing one.

Usage: sizes.py ROOT
"""

import sys
from pathlib import Path

FUNCTION_LINES = 50
FILE_LINES = 400


def functions(lines):
    """Yields the numbers of the first and the last line of each."""
    first = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            first = number
        elif line.startswith("}") and first is not None:
            yield first, number
            first = None


def check(root):
    checked = 0
    folders = [root / name for name in ("src", "queue", "cli")]
    for path in sorted(path for folder in folders for path in folder.rglob("*.[ch]")):
        name, lines = path.relative_to(root), path.read_text().splitlines()
        if len(lines) > FILE_LINES:
            yield f"{name}: has {len(lines)} lines, more than {FILE_LINES}"
        for first, last in functions(lines):
            checked += 1
            length = last - first + 1
            if length > FUNCTION_LINES:
                yield f"{name}:{first}: a function of {length} lines, more than {FUNCTION_LINES}"
    if checked == 0:
        yield "no function found: nothing was checked"


def main():
    problems = list(check(Path(sys.argv[1])))
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


main()
