#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that the blocking object worked out in src/wait/wait.h is the one that the explorer tests.

Usage: example.py ROOT
"""

import re
import sys
from pathlib import Path


def code(text):
    """Its lines without comments and indentation."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)
    return [line.strip() for line in text.splitlines() if line.strip()]


def main():
    root = Path(sys.argv[1])
    page = (root / "src/wait/wait.h").read_text()
    latch = r"^ \*     struct latch \{.*?^ \*$\n(?! \*    )"
    block = re.search(latch, page, re.DOTALL | re.MULTILINE)
    shown = code(re.sub(r"^ \* ?", "", block[0], flags=re.MULTILINE)) if block else []
    tested = code((root / "tests/explorer/scenarios/latch.h").read_text())
    tested = [line for line in tested if not line.startswith("#")]
    if not shown or shown != tested:
        print("src/wait/wait.h and tests/explorer/scenarios/latch.h differ:")
        for line in sorted(set(shown) ^ set(tested)):
            print("   ", line)
        sys.exit(1)


main()
