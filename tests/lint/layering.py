#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks which file of the library may include which.

A folder of src/ may include itself and the folders before it in LAYERS; src/ring only base, so
that it can be tested alone. The public headers may be included anywhere. What is not standard C
belongs to src/os, and atomics to src/base/atomic.h.

Usage: layering.py ROOT
"""

import re
import sys
from pathlib import Path

LAYERS = ["base", "os", "ring", "wait", "sync", "pool", "group", "flow"]
ALLOWED = {layer: set(LAYERS[: LAYERS.index(layer) + 1]) for layer in LAYERS}
ALLOWED["ring"] = {"base", "ring"}

STANDARD = {
    "assert.h", "errno.h", "float.h", "inttypes.h", "limits.h", "math.h", "setjmp.h", "stdalign.h",
    "stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h",
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)?')
ATOMICS = re.compile(r"\b(__atomic_\w+|__sync_\w+|atomic_(?!t\b)\w+|memory_order_\w+|_Atomic)\b")
ATOMIC_HOME = "base/atomic.h"


def without_comments(text):
    """The text with each comment and string replaced by as many line ends as it had."""

    def blank(match):
        token = match.group(0)
        return token if token.startswith('"') else "\n" * token.count("\n")

    return re.sub(r'"(?:\\.|[^"\\\n])*"|/\*.*?\*/|//[^\n]*', blank, text, flags=re.DOTALL)


def check_include(name, layer, quoted, angled, src, include):
    if quoted is None and angled is None:
        return "an #include that is not a plain name cannot be checked"
    if angled is not None:
        if angled == "stdatomic.h":
            if name != ATOMIC_HOME:
                return "only src/base/atomic.h includes <stdatomic.h>"
        elif angled not in STANDARD and layer != "os":
            return f"<{angled}> is not standard C: only src/os may include it"
        return None
    if (include / quoted).is_file():
        return None
    target = quoted.split("/")[0]
    if "/" not in quoted or target not in LAYERS or not (src / quoted).is_file():
        return f'"{quoted}" is no header of the library (write it as "folder/file.h")'
    if target not in ALLOWED[layer]:
        return f"src/{layer} must not include src/{target}"
    return None


def check_file(path, src, include):
    name = path.relative_to(src).as_posix()
    layer = name.split("/")[0]
    if layer not in LAYERS:
        yield 1, f"src/{layer} is not in the list of layers"
        return
    for number, line in enumerate(without_comments(path.read_text()).splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            problem = check_include(name, layer, match[1], match[2], src, include)
            if problem:
                yield number, problem
        elif name != ATOMIC_HOME and (word := ATOMICS.search(line)):
            yield number, f"{word[0]}: atomics are spelled through base/atomic.h only"


def main():
    root = Path(sys.argv[1])
    src, include = root / "src", root / "include"
    files = sorted(path for path in src.rglob("*") if path.suffix in (".c", ".h", ".S"))
    problems = 0
    for path in files:
        for number, problem in check_file(path, src, include):
            print(f"{path.relative_to(root)}:{number}: {problem}")
            problems += 1
    if not files:
        print("no source file found: nothing was checked")
        problems += 1
    sys.exit(1 if problems else 0)


main()
