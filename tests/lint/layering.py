#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks which file of the library may use which.

src/meson.build lists the sources in an order, in which each may use only those before it: a part
can be read, linked and tested with nothing but the parts above it in that list.

Without a library, it checks what is included. X.h has its place right before X.c. A header without
a source of its own has the place of the last file that it includes. So no files include each other
in a circle. A folder may include itself and the folders before it in LAYERS; src/ring only base.
The public headers may be included anywhere. What is not standard C belongs to src/os, and atomics
to src/base/atomic.h.

With the static library, it checks what is called, also by way of public functions: what one object
needs of another, nm tells.

Usage: layering.py ROOT [NM LIBRARY]
"""

import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

LAYERS = ["base", "os", "ring", "record", "wait", "sync", "pool", "group", "flow", "see"]
ALLOWED = {layer: set(LAYERS[: LAYERS.index(layer) + 1]) for layer in LAYERS}
ALLOWED["ring"] = {"base", "ring"}

STANDARD = {
    "assert.h", "errno.h", "float.h", "inttypes.h", "limits.h", "math.h", "setjmp.h", "stdalign.h",
    "stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h",
}

# Headers whose source comes later: what a pool is made of, and what makes and frees one with the
# help of all that works on it.
APART = {"pool/pool.h"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]+)"|<([^>]+)>)?')
ATOMICS = re.compile(r"\b(__atomic_\w+|__sync_\w+|atomic_(?!t\b)\w+|memory_order_\w+|_Atomic)\b")
ATOMIC_HOME = "base/atomic.h"
SUFFIXES = {".c", ".h", ".S"}


def listed_sources(src):
    """The sources in their order; @0@ stands for what a build chooses."""
    text = (src / "meson.build").read_text()
    return re.findall(r"^    '(\w+/[\w@]+\.c)'", text, flags=re.MULTILINE)


def place_of(name, sources):
    """The number of the source in the list, also for its header; or None."""
    for place, source in enumerate(sources):
        if name.endswith(".c") and fnmatch(name, source.replace("@0@", "*")):
            return place
        if name.endswith(".h") and name[:-2] == re.sub(r"(_@0@)?\.c$", "", source):
            return place
    return None


# What is included.


def without_comments(text):
    """The text with each comment replaced by as many line ends as it had."""

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


def check_file(name, src, include):
    """Yields (line, problem) of one file by itself."""
    layer = name.split("/")[0]
    if layer not in LAYERS:
        yield 1, f"src/{layer} is not in the list of layers"
        return
    for number, line in enumerate(without_comments((src / name).read_text()).splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            problem = check_include(name, layer, match[1], match[2], src, include)
            if problem:
                yield number, problem
        elif name != ATOMIC_HOME and (word := ATOMICS.search(line)):
            yield number, f"{word[0]}: atomics are spelled through base/atomic.h only"


def included_files(name, src):
    """{file of src/: line} of what the file includes."""
    lines = without_comments((src / name).read_text()).splitlines()
    found = ((number, INCLUDE.match(line)) for number, line in enumerate(lines, 1))
    return {m[1]: number for number, m in found if m and m[1] and (src / m[1]).is_file()}


def check_order(names, src, sources):
    """Yields (file, line, problem) of files that include what does not come before them."""
    includes = {name: included_files(name, src) for name in names}
    places = {}

    def settle(name, path):
        """Gives the file its place; returns a circle of includes that it is in, or None."""
        if name in path:
            return path[path.index(name) :] + [name]
        if name in places:
            return None
        circles = [settle(target, [*path, name]) for target in includes[name]]
        own = place_of(name, sources) if name not in APART else None
        used = [places[target] for target in includes[name] if target in places]
        places[name] = own if own is not None else max(used, default=0)
        return next((circle for circle in circles if circle), None)

    for name in names:
        circle = settle(name, [])
        if circle:
            yield circle[0], 1, "a circle of includes: " + " -> ".join(circle)
    for name in names:
        if name.endswith(".c") and place_of(name, sources) is None:
            yield name, 1, "is not in the list in src/meson.build"
        for target, number in includes[name].items():
            if target.endswith(".c"):
                yield name, number, f"includes {target}, which is no header"
            elif places[target] > places[name]:
                yield name, number, f"includes {target}, which comes after it in src/meson.build"


def check_includes(root):
    src, include = root / "src", root / "include"
    names = sorted(p.relative_to(src).as_posix() for p in src.rglob("*") if p.suffix in SUFFIXES)
    for name in names:
        for number, problem in check_file(name, src, include):
            yield f"src/{name}:{number}: {problem}"
    for name, number, problem in check_order(names, src, listed_sources(src)):
        yield f"src/{name}:{number}: {problem}"
    if not names:
        yield "no source file found: nothing was checked"


# What is called.


def check_calls(root, nm, library):
    sources = listed_sources(root / "src")
    command = [nm, "-A", "--extern-only", "--format=posix", library]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    home, needs = {}, []
    for line in output.splitlines():
        match = re.fullmatch(r".*\[(?:.*/)?src_(\w+)\.c\.o\]: (weir_\w+) (\w)\b.*", line)
        if not match:
            continue
        place = next(
            i for i, s in enumerate(sources)
            if fnmatch(match[1] + ".c", s.replace("/", "_").replace("@0@", "*"))
        )
        if match[3] == "U":
            needs.append((place, match[2]))
        else:
            home[match[2]] = place
    for place, symbol in needs:
        other = home.get(symbol, place)
        if other > place:
            yield f"src/{sources[place]}: {symbol} is in {sources[other]}, which comes after it"
    if not needs:
        yield f"{library}: no object uses another: nothing was checked"


def main():
    root, library = Path(sys.argv[1]), sys.argv[2:]
    problems = list(check_calls(root, *library) if library else check_includes(root))
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


main()
