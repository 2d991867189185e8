#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The pages of the cookbook about the program: every command on them is run, and prints what they
show.

A block of the language `console` has commands behind `$ ` and, below each, all that it prints. The
blocks of a page run in one folder, one after the other. The environment variable WEIR_SOURCE names
the tree.
"""

import os
import re
import unittest
from pathlib import Path

from support import WEIR, Case, have, main

SOURCE = Path(os.environ.get("WEIR_SOURCE", Path(__file__).resolve().parents[2]))
COOKBOOK = SOURCE / "docs/cookbook"


def commands(page):
    """Pairs of a command and its output."""
    for block in re.findall(r"^```console\n(.*?)^```$", page.read_text(), re.S | re.M):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


class Pages(Case):
    def setUp(self):
        super().setUp()
        programs = self.folder / "bin"
        programs.mkdir()
        (programs / "weir").symlink_to(WEIR)
        self.env["PATH"] = f"{programs}:{self.env['PATH']}"
        (self.folder / "parallel").mkdir()
        (self.folder / "parallel" / "will-cite").touch()
        self.furnish()

    def furnish(self):
        (self.cwd / "logs").mkdir()
        self.write("logs/app one.log", "1\n2\n3\n")
        self.write("logs/app two.log", "1\n2\n")
        self.write("people.csv", "name,city\nAda,London\nAlan,Wilmslow\n")
        self.write("files.txt", "files.txt\npeople.csv\n")
        self.write("list", "a\nb c\nit's\n")
        self.write("numbers", "1\n2\n3\n4\n5\n")
        self.script("unreliable", '[ $WEIR_ATTEMPT = 3 ] && echo "ok at the third attempt"\n')
        self.script(
            "convert", "[ $1 != broken ] || [ -e mended ] || exit 1\n" 'echo "$1 converted"\n'
        )
        self.script("ask", 'case $1 in slow*) exec sleep 3600;; esac; echo "$1 answered"\n')

    def check(self, name):
        page = (COOKBOOK / name).with_suffix(".md")
        run = 0
        for command, wanted in commands(page):
            result = self.run_it("-c", f"{command}", program=("bash",), stderr=-2)
            self.assertEqual(result.out.decode(), wanted, f"$ {command}")
            run += 1
        self.assertGreater(run, 5)

    def test_ten_jobs(self):
        self.check("ten-jobs")

    @unittest.skipUnless(have("parallel", "xargs"), "the peers are not installed")
    def test_coming_from_xargs_and_parallel(self):
        self.check("from-xargs-and-parallel")

    def test_options_in_the_tables_are_there(self):
        page = COOKBOOK / "from-xargs-and-parallel"
        text = page.with_suffix(".md").read_text()
        known = self.weir("--help").out.decode()
        rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
        cells = [row[1] if "the same" in row[2] else row[2] for row in rows]
        named = {name for cell in cells for name in re.findall(r"(?<![\w-])--[a-z][a-z-]+", cell)}
        self.assertGreater(len(named), 20)
        for name in sorted(named):
            self.assertIn(name, known)


if __name__ == "__main__":
    main()
