#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares what the headers promise with what the libraries define, both ways.

The shared library exports the functions marked WEIR_API, all of them and nothing else. The static
library, which cannot hide names, defines the same ones, and besides them only weir__ names.

Usage: exports.py NM HEADERS... [--shared FILE] [--static FILE]
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

DECLARATION = re.compile(r"\bWEIR_API\b([^;{}]*);")
FUNCTION = re.compile(r"\b(\w+)\s*\(")
ATTRIBUTES = {"__attribute__"}
# Names that compilers, sanitizers and probes make, beside those of the source.
GENERATED = re.compile(
    r"^(DW\.ref\.|__odr_asan|__asan_|__tsan_|__ubsan_|__sanitizer_|"
    r"weir_(task|worker|breaker|retry)\w*_semaphore$|_\.stapsdt\.)"
)


def declared(headers):
    names = set()
    for path in headers:
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        text = "\n".join(line for line in text.split("\n") if not line.startswith("#"))
        for declaration in DECLARATION.findall(text):
            found = [name for name in FUNCTION.findall(declaration) if name not in ATTRIBUTES]
            if not found:
                sys.exit(f"{path}: cannot read the declaration:{declaration}")
            names.add(found[0])
    return names


def defined(nm, *args):
    command = [nm, "--defined-only", "--format=posix", *args]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    names = set()
    for line in output.splitlines():
        fields = line.split()
        if len(fields) < 2 or fields[1] == "A":
            continue  # an archive's member, or the name of a version
        names.add(fields[0].split("@")[0])
    return {name for name in names if not GENERATED.match(name)}


def report(names, sentence):
    for name in sorted(names):
        print(f"{name}: {sentence}")
    return len(names)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("nm")
    parser.add_argument("headers", type=Path, nargs="+")
    parser.add_argument("--shared")
    parser.add_argument("--static")
    args = parser.parse_args()

    promised = declared(args.headers)
    problems = report({n for n in promised if not re.match(r"weir_[a-z]", n)}, "a public name?")
    if not promised:
        problems += report({"headers"}, "no declaration found: nothing was checked")
    if args.shared:
        exported = defined(args.nm, "--dynamic", args.shared)
        problems += report(promised - exported, "is declared, but not exported")
        problems += report(exported - promised, "is exported, but not declared")
    if args.static:
        present = defined(args.nm, "--extern-only", args.static)
        public = {name for name in present if not name.startswith("weir__")}
        problems += report(promised - public, "is declared, but not in the static library")
        problems += report(public - promised, "is global in the static library, without weir__")
    sys.exit(1 if problems else 0)


main()
