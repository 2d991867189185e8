#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes C source of a file: its bytes, and how many they are.

Usage: embed.py FILE NAME >SOURCE
"""

import sys
from pathlib import Path


def main():
    data, name = Path(sys.argv[1]).read_bytes(), sys.argv[2]
    print(f"extern const char {name}[];\nextern const unsigned {name}_size;")
    print(f"const unsigned {name}_size = {len(data)};\nconst char {name}[] = {{")
    for at in range(0, len(data), 16):
        print("    " + ", ".join(f"{byte:d}" for byte in data[at : at + 16]) + ",")
    print("};")


main()
