#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the front pages. README.md: it is short, its example is the file and prints what is said,
and every header has its row. docs/reference.md: its tables name every public call and nothing
else. docs/build.md: its table names every build option. What they link exists.

Usage: check.py ROOT
"""

import re
import sys
from pathlib import Path

README = "README.md"
REFERENCE = "docs/reference.md"
BUILD = "docs/build.md"

EXAMPLE = "examples/readme.c"
OUTPUT = "examples/expected/readme.txt"
# Output that a page must show from the first line to the last; pages.py finds parts good enough.
OUTPUTS_IN_FULL = {"docs/cookbook/queue-full.md": "examples/expected/backpressure.txt"}
COMMANDS = ["examples/run", "tests/run"]
FIRST_SCREEN = 40  # lines
LENGTH = 150  # lines


def code_blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.S | re.M)


def without_header(source):
    """The file from its first line of code on."""
    return re.sub(r"\A(?:/\*.*?\*/\s*)+", "", source, flags=re.S)


def headers(root):
    return sorted((root / "include" / "weir").glob("*.h"))


def public_calls(root):
    calls = set()
    for header in headers(root):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
        calls.update(re.findall(r"\bWEIR_API\b[^;(]*?\b(weir_\w+)\(", text))
    return calls


def table_rows(text, section):
    """Of all tables in the section, subsections included."""
    part = text.split(f"\n## {section}\n", 1)[-1].split("\n## ", 1)[0]
    return [line.strip("|").split("|") for line in part.splitlines() if line.startswith("|")]


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


def check_readme(root, text):
    lines = text.splitlines()
    if len(lines) > LENGTH:
        yield f"{len(lines)} lines, more than {LENGTH}"
    if without_header((root / EXAMPLE).read_text()) not in code_blocks(text, "c"):
        yield f"no block of C is {EXAMPLE} without its header"
    if (root / OUTPUT).read_text().strip() not in text:
        yield f"the output of {EXAMPLE} is not shown"
    top = "\n".join(lines[:FIRST_SCREEN])
    for command in COMMANDS:
        if command not in top:
            yield f"{command} is not named in the first {FIRST_SCREEN} lines"
    named = "".join(row[0] for row in table_rows(text, "Which header"))
    for header in headers(root):
        if f"(include/weir/{header.name})" not in named:
            yield f"the table of headers has no weir/{header.name}"


def check_reference(root, text):
    rows = table_rows(text, "Calls")
    named = table_calls(rows)
    calls = public_calls(root)
    for name in sorted(calls - set(named)):
        yield f"no table has {name}"
    for name in sorted(set(named) - calls):
        yield f"a table has {name}, which no header declares"
    for name in sorted({name for name in named if named.count(name) > 1}):
        yield f"{name} has more than one row"
    for row in rows:
        if len(row) != len(rows[0]) or not all(cell.strip() for cell in row):
            yield f"a row with empty or missing cells: {row[0]}"


def check_build(root, text):
    options = re.findall(r"option\('(\w+)'", (root / "meson_options.txt").read_text())
    described = re.findall(r"^\| `-D(\w+)=\w+` \|", text, re.M)
    if sorted(options) != sorted(described):
        yield f"options described: {sorted(described)}; options there are: {sorted(options)}"


def check_page(root, path, more):
    text = (root / path).read_text()
    yield from more(root, text)
    for link in re.findall(r"\]\(([\w./-]+)(?:#[\w-]*)?\)", text):
        if not ((root / path).parent / link).exists():
            yield f"{link} does not exist"


def main():
    root = Path(sys.argv[1])
    checks = {README: check_readme, REFERENCE: check_reference, BUILD: check_build}
    problems = []
    for path, more in checks.items():
        problems += [f"{path}: {problem}" for problem in check_page(root, path, more)]
    for path, output in OUTPUTS_IN_FULL.items():
        if f"```text\n{(root / output).read_text()}```\n" not in (root / path).read_text():
            problems.append(f"{path}: no block is {output}")
    print(*problems, sep="\n", end="\n" if problems else "")
    return 1 if problems else 0


sys.exit(main())
