#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The pages of the cookbook about queues: their commands are run, and print what they show; the
tests that they name are there.
"""

import re
from pathlib import Path

import pages
from servers import QueueCase
from support import WEIR, main

HERE = Path(__file__).resolve().parent


class QueuePages(QueueCase):
    SETTINGS = {"appendonly": "yes"}

    def setUp(self):
        super().setUp()
        programs = self.folder / "bin"
        programs.mkdir()
        (programs / "weir").symlink_to(WEIR)
        self.env["PATH"] = f"{programs}:{self.env['PATH']}"
        self.env["WEIR_QUEUE_URL"] = self.url
        for name in ("one.wav", "three.wav", "two.wav"):
            self.write(name, "")
        self.write("albums.txt", "first album\nsecond album\n")
        self.write("people.csv", "name,city\nAda,London\nAlan,Wilmslow\n")

    def check(self, name, least):
        page = (pages.COOKBOOK / name).with_suffix(".md")
        run = 0
        for command, wanted in pages.commands(page):
            result = self.run_it("-c", command, program=("bash",), stderr=-2)
            self.assertEqual(result.out.decode(), wanted, f"$ {command}")
            run += 1
        self.assertGreaterEqual(run, least)

    def test_three_machines(self):
        self.check("three-machines", 10)

    def test_a_queue_in_a_container(self):
        self.check("queue-in-a-container", 4)

    def test_every_answer_is_a_test(self):
        text = (pages.COOKBOOK / "what-happens-when").with_suffix(".md").read_text()
        files = (HERE / f"queue_{name}.py" for name in ("push", "trouble", "work"))
        tests = "".join(file.read_text() for file in files)
        answers = text.split("\n## ")[1:]
        self.assertGreater(len(answers), 8)
        for answer in answers:
            named = re.findall(r"\*(test_\w+)\*", answer)
            self.assertTrue(named, answer)
            for name in named:
                self.assertIn(f"def {name}(self", tests)


if __name__ == "__main__":
    main()
