#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks README.md: its example is the file, and prints what is said; its table of guarantees names
every public call, and nothing else; the build options and the files that it names exist.

Usage: check.py ROOT
"""

import re
import sys
from pathlib import Path

EXAMPLE = "examples/readme.c"
OUTPUT = "examples/expected/readme.txt"
OUTPUTS_IN_FULL = ["examples/expected/backpressure.txt"]
COMMANDS = ["examples/run", "tests/run"]
FIRST_SCREEN = 40  # lines


def code_blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.S | re.M)


def without_header(source):
    """The file from its first line of code on."""
    return re.sub(r"\A(?:/\*.*?\*/\s*)+", "", source, flags=re.S)


def public_calls(root):
    calls = set()
    for header in sorted((root / "include" / "weir").glob("*.h")):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
        calls.update(re.findall(r"\bWEIR_API\b[^;(]*?\b(weir_\w+)\(", text))
    return calls


def table_rows(text):
    section = text.split("\n## Guarantees\n", 1)[-1].split("\n## ", 1)[0]
    return [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]


def table_calls(rows):
    """Calls are written in full, or as an ending of the one before them in the same cell:
    `weir_pool_drain`, `_until`."""
    calls = []
    for cell in (row[0] for row in rows):
        base = None
        for word in re.findall(r"`(\w+)`", cell):
            if word.startswith("weir_"):
                base = word
                calls.append(word)
            elif base is not None:
                calls.append(base + word)
    return calls


def check(root):
    text = (root / "README.md").read_text()
    lines = text.splitlines()

    shown = code_blocks(text, "c")
    source = without_header((root / EXAMPLE).read_text())
    if source not in shown:
        yield f"no block of C is {EXAMPLE} without its header"
    if (root / OUTPUT).read_text().strip() not in text:
        yield f"the output of {EXAMPLE} is not shown"

    for path in OUTPUTS_IN_FULL:
        if f"```\n{(root / path).read_text()}```\n" not in text:
            yield f"no block is {path}"

    top = "\n".join(lines[:FIRST_SCREEN])
    for command in COMMANDS:
        if command not in top:
            yield f"{command} is not named in the first {FIRST_SCREEN} lines"

    rows = table_rows(text)
    named = table_calls(rows)
    calls = public_calls(root)
    for name in sorted(calls - set(named)):
        yield f"the table of guarantees has no {name}"
    for name in sorted(set(named) - calls):
        yield f"the table of guarantees has {name}, which no header declares"
    for name in sorted({name for name in named if named.count(name) > 1}):
        yield f"the table of guarantees has {name} more than once"
    for row in rows:
        if len(row) != len(rows[0]) or not all(cell.strip() for cell in row):
            yield f"a row with empty or missing cells: {row[0]}"

    options = re.findall(r"option\('(\w+)'", (root / "meson_options.txt").read_text())
    described = re.findall(r"^\| `-D(\w+)=\w+` \|", text, re.M)
    if sorted(options) != sorted(described):
        yield f"options described: {sorted(described)}; options there are: {sorted(options)}"

    for path in re.findall(r"\]\(([\w./-]+)\)", text):
        if not (root / path).exists():
            yield f"{path} does not exist"


def main():
    problems = list(check(Path(sys.argv[1])))
    for problem in problems:
        print(f"README.md: {problem}")
    return 1 if problems else 0


sys.exit(main())
