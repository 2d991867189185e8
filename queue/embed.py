#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes a C file of the server's scripts: text and SHA-1, by which the server knows each.

Comments and indentation are left out, and the common part comes before each script.

Usage: embed.py OUTPUT COMMON SCRIPT...
"""

import hashlib
import sys
from pathlib import Path


def stripped(path):
    lines = (line.strip() for line in Path(path).read_text().splitlines())
    return "".join(line + "\n" for line in lines if line and not line.startswith("--"))


def main():
    output, common, *scripts = sys.argv[1:]
    parts = ['/* Made by embed.py. */\n#include "scripts.h"\n']
    names = []
    for path in scripts:
        name, text = Path(path).stem, (stripped(common) + stripped(path)).encode()
        numbers = ",".join(str(byte) for byte in text)
        sha = hashlib.sha1(text).hexdigest()
        parts.append(f"static const char {name}_text[] = {{{numbers},0}};\n")
        parts.append(
            f"const struct script weir__script_{name} = "
            f'{{"{name}", "{sha}", {name}_text, {len(text)}}};\n'
        )
        names.append(f"&weir__script_{name}")
    listed = ", ".join(names)
    parts.append(f"const struct script *const weir__scripts[] = {{{listed}, NULL}};\n")
    Path(output).write_text("".join(parts))


main()
