#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks every text file of the tree: licence line, width, what prose may refer to; and that the
public headers are short and all in the umbrella.

Usage: tree.py ROOT
"""

import os
import re
import sys
from pathlib import Path

CODE = {".c", ".h", ".cpp", ".hpp", ".S", ".py", ".sh", ".map", ".in", ".go", ".rs", ".java"}
SCRIPTS = {"run"}
WITHOUT_LICENCE_LINE = {"LICENSE", "packages", ".gitignore"}
FUZZ = ("tests/fuzz", "tests/service/fuzz")
INPUTS = {"corpus", "kept", "seeds"}  # their folders that hold bytes, not text
PROSE = {".md"}
GENERATED = {".svg", ".png"}  # pictures that programs have drawn
INDENTED_BY_TABS = {".go"}
AS_WIDE_AS_IT_IS = PROSE | {".txt"}  # documents, and the output that tests expect

LICENCE = "SPDX-License-Identifier: MIT"
WIDTH = 100
HEADER_LINES = 190
OTHER_LIBRARIES = re.compile(r"weir/queue\w*\.h")  # whose headers are not in the umbrella

# A tree must make sense to a reader who has nothing but the tree.
FOREIGN = [
    (re.compile(r"/(?:home|root|work|workspace|mnt)/[\w.]"), "a path of one machine"),
    (re.compile(r"(?:^|\s)#\d+\b|\b[Ii]ssue\s+#?\d+"), "a number that only a tracker explains"),
    (re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b"), "a note of unfinished work"),
]
NAMED_DOCUMENT = re.compile(r"[\w./-]*\w\.md\b")
ADDRESS = re.compile(r"https?://([\w.-]+)")
KNOWN_HOSTS = {
    "keepachangelog.com", "semver.org",
    "www.w3.org",  # how SVG is named
    "127.0.0.1",  # the machine itself
}


def tree_files(root):
    """Everything but version control, build folders, and other projects' trees."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name
            for name in folders
            if name not in (".git", "__pycache__", "subprojects")
            and not (name in INPUTS and Path(folder) in [root / fuzz for fuzz in FUZZ])
            and not (Path(folder) == root and name.startswith("build"))
            and not (Path(folder) / name / "meson-private").is_dir()
        )
        for name in sorted(set(names) - {".git"}):  # which is a file in a linked work tree
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink() and path.suffix not in GENERATED:
                yield path


def needs_licence_line(path):
    if path.name in WITHOUT_LICENCE_LINE or path.suffix in PROSE:
        return False
    return path.suffix in CODE or path.name in SCRIPTS or path.name.startswith("meson")


def check_text(path, text, root, myself):
    lines = text.splitlines()
    if needs_licence_line(path):
        first = 1 if lines and lines[0].startswith("#!") else 0
        if LICENCE not in "".join(lines[first : first + 1]):
            yield first + 1, f"the first line (after #!) must say {LICENCE}"
    for number, line in enumerate(lines, 1):
        if len(line) > WIDTH and path.suffix not in AS_WIDE_AS_IT_IS:
            yield number, f"{len(line)} columns, more than {WIDTH}"
        if line != line.rstrip() or "\t" in line and path.suffix not in INDENTED_BY_TABS:
            yield number, "a tab, or blanks at the end of the line"
        if myself:
            continue
        for pattern, what in FOREIGN:
            if pattern.search(line):
                yield number, what
        for document in NAMED_DOCUMENT.findall(line):
            if not (root / document).is_file() and not (path.parent / document).is_file():
                yield number, f"{document} is not in the tree"
        for host in ADDRESS.findall(line):
            if host not in KNOWN_HOSTS:
                yield number, f"the address {host} is not among the known ones"
    if text and not text.endswith("\n"):
        yield len(lines), "no line end at the end of the file"


def check_headers(root):
    umbrella = (root / "include/weir.h").read_text()
    for path in sorted((root / "include").rglob("*.h")):
        count = len(path.read_text().splitlines())
        if count > HEADER_LINES:
            yield path, f"{count} lines, more than {HEADER_LINES}: a header is read in one go"
        name = path.relative_to(root / "include").as_posix()
        if OTHER_LIBRARIES.fullmatch(name):
            continue
        if name != "weir.h" and f'#include "{name}"' not in umbrella:
            yield path, "weir.h does not include it"


def main():
    root = Path(sys.argv[1]).resolve()
    problems = 0
    for path in tree_files(root):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            print(f"{path.relative_to(root)}: not UTF-8 text")
            problems += 1
            continue
        myself = path.samefile(__file__)
        for number, problem in check_text(path, text, root, myself):
            print(f"{path.relative_to(root)}:{number}: {problem}")
            problems += 1
    for path, problem in check_headers(root):
        print(f"{path.relative_to(root)}: {problem}")
        problems += 1
    sys.exit(1 if problems else 0)


main()
