#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Adds up what gcov counted in several builds of the library, and compares the lines that no test
reached with the list of those that none can reach.

A line is named by its file, its function and its text, so that the list outlives changes elsewhere
in the file. The list consists of paragraphs: comment lines that give the reason, then the lines,

    # The kernel never says this.
    src/os/cpus.c affinity: break;
    ? src/pool/queue.c my_function: return LINK_NONE;

each as often as it is not reached. `?` marks a line that only a rare interleaving of real threads
reaches: it may be covered or not.

Usage: report.py [--expected FILE] ROOT BUILD...
"""

import argparse
import collections
import json
import os
import re
import subprocess
import sys
from pathlib import Path


def gcov_documents(build, root):
    """What gcov says of every object of the build that was made from a file in src/."""
    # Not of the explorer's, nor of what is built like it: they are not run here, and their
    # compiler flags make lines of declarations.
    apart = {"explorer", "fuzz", "planted"}
    notes = sorted(note for note in build.rglob("*.gcno") if not apart & set(note.parts))
    if not notes:
        sys.exit(f"{build}: was not built with -Db_coverage=true")
    tool = os.environ.get("GCOV", "gcov").split()
    for first in range(0, len(notes), 50):
        batch = [str(note) for note in notes[first : first + 50]]
        command = [*tool, "--json-format", "--stdout", "--branch-probabilities", *batch]
        done = subprocess.run(
            command, cwd=build, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
        )
        for line in done.stdout.decode().splitlines():
            if line.startswith("{"):
                yield json.loads(line)


class Line:
    def __init__(self, function):
        self.function = function
        self.count = 0
        self.branches = collections.defaultdict(list)  # by their number: how often each was taken

    def add(self, record):
        self.count += record["count"]
        branches = [b["count"] for b in record["branches"] if not b["throw"]]
        sums = self.branches[len(branches)]
        sums[:] = [a + b for a, b in zip(sums, branches)] if sums else branches

    def branches_of(self):
        """The compiler's branches of this line in the build that has most of them."""
        return self.branches[max(self.branches)] if self.branches else []


def measure(builds, root):
    """{file: {line number: Line}} for the files of src/."""
    files = collections.defaultdict(dict)
    for build in builds:
        for document in gcov_documents(build, root):
            here = Path(document["current_working_directory"])
            for file in document["files"]:
                path = Path(os.path.normpath(here / file["file"]))
                if not path.is_relative_to(root / "src"):
                    continue
                lines = files[path.relative_to(root).as_posix()]
                for record in file["lines"]:
                    number = record["line_number"]
                    if number not in lines:
                        lines[number] = Line(record.get("function_name", ""))
                    lines[number].add(record)
    return files


ENTRY = re.compile(r"(\? )?(\S+ \S+: .*)")


def read_expected(path):
    """(how often each named line is not reached, the lines that may be); complains and ends."""
    never, perhaps, reasons = collections.Counter(), set(), 0
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip():
            reasons = 0
        elif line.startswith("#"):
            reasons += 1
        elif not (match := ENTRY.fullmatch(line)) or not reasons:
            sys.exit(f"{path}:{number}: neither a reason nor a line with a reason above it")
        elif match[1]:
            perhaps.add(match[2])
        else:
            never[match[2]] += 1
    return never, perhaps


def share(part, whole):
    return f"{part:5}/{whole:<5} {100 * part / whole if whole else 100:5.1f} %"


def print_table(files):
    total = [0, 0, 0, 0]
    print(f"{'file':34} {'lines':>11}         {'branches':>11}")
    for name, lines in sorted(files.items()):
        branches = [count for line in lines.values() for count in line.branches_of()]
        row = [
            sum(line.count > 0 for line in lines.values()),
            len(lines),
            sum(count > 0 for count in branches),
            len(branches),
        ]
        total = [a + b for a, b in zip(total, row)]
        print(f"{name:34} {share(*row[:2])}   {share(*row[2:])}")
    print(f"{'all':34} {share(*total[:2])}   {share(*total[2:])}")
    return total


def uncovered_lines(files, root):
    """(name of the line, its number) of each line that was not reached."""
    for file, lines in sorted(files.items()):
        text = (root / file).read_text().splitlines()
        for number, line in sorted(lines.items()):
            if line.count == 0:
                yield f"{file} {line.function}: {text[number - 1].strip()}", number


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--expected", type=Path)
    parser.add_argument("root", type=Path)
    parser.add_argument("builds", type=Path, nargs="+")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    files = measure([build.resolve() for build in arguments.builds], root)
    total = print_table(files)

    never, perhaps = collections.Counter(), set()
    if arguments.expected:
        never, perhaps = read_expected(arguments.expected)
    left, surprises, explained, rare = never.copy(), 0, 0, 0
    for name, number in uncovered_lines(files, root):
        file, rest = name.split(" ", 1)
        if left[name] > 0:
            left[name] -= 1
            explained += 1
        elif name in perhaps:
            rare += 1
        else:
            surprises += 1
            print(f"{file}:{number}: not reached: {rest}")
    for name, times in sorted(left.items()):
        if times > 0:
            surprises += times
            print(f"{arguments.expected}: reached after all, or no longer there: {name}")
    here = {
        f"{file} {line.function}: {text[number - 1].strip()}"
        for file, lines in files.items()
        for text in [(root / file).read_text().splitlines()]
        for number, line in lines.items()
    }
    for name in sorted(perhaps - here):
        surprises += 1
        print(f"{arguments.expected}: no longer there: {name}")
    print(
        f"{total[0]} of {total[1]} lines reached in {len(arguments.builds)} builds, "
        f"{explained} explained, {rare} too rare this time, {surprises} surprises; "
        f"{total[2]} of {total[3]} branches"
    )
    sys.exit(1 if surprises else 0)


main()
