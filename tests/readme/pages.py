#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the pages under docs/: every block of C is a run of lines of the example that was linked
last before it, so that it compiles and runs; every block of plain output likewise is one of that
example's expected lines; and the files that a page links exist.

Usage: pages.py ROOT
"""

import re
import sys
from pathlib import Path

LINK = re.compile(r"\]\(([\w./-]+)(?:#[\w-]*)?\)")
FENCE = re.compile(r"^```(\w*)$")


def blocks(text):
    """Yields (line number, language, lines, the link to an example before it)."""
    example, start, language, inside = None, 0, None, []
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if language is None:
            for link in LINK.findall(line):
                if "examples/" in link:
                    example = link
            if fence:
                start, language, inside = number, fence.group(1), []
        elif fence:
            yield start, language, inside, example
            language = None
        else:
            inside.append(line)


def dedented(lines):
    """As a page shows lines that stand deeper in their file."""
    depths = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    depth = min(depths, default=0)
    return [line[depth:] for line in lines]


def is_run_of(lines, source):
    wanted, n = dedented(lines), len(lines)
    return any(dedented(source[i : i + n]) == wanted for i in range(len(source) - n + 1))


def check(page):
    text = page.read_text()
    for link in LINK.findall(text):
        if not (page.parent / link).exists():
            yield 1, f"{link} does not exist"
    for number, language, lines, example in blocks(text):
        if language not in ("c", "text"):
            continue
        if example is None:
            yield number, "no example is linked before this block"
            continue
        source = page.parent / example
        if language == "text":
            source = source.parent / "expected" / (source.stem + ".txt")
        if not source.is_file() or not is_run_of(lines, source.read_text().splitlines()):
            yield number, f"this block is not part of {source.name}"


def main():
    root = Path(sys.argv[1])
    pages, count, problems = sorted((root / "docs").rglob("*.md")), 0, 0
    for page in pages:
        count += sum(language in ("c", "text") for _, language, _, _ in blocks(page.read_text()))
        for number, problem in check(page):
            print(f"{page.relative_to(root)}:{number}: {problem}")
            problems += 1
    print(f"docs: {len(pages)} pages, {count} blocks compared, {problems} problems")
    return 1 if problems else 0


sys.exit(main())
