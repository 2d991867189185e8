#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The manual pages, and the completions of bash and zsh: they load, they answer, and they know the
options that the program has, all of them and no others.

The environment variable WEIR_SOURCE names the tree.
"""

import os
import pty
import re
import select
import time
import unittest
from pathlib import Path

from support import DEADLINE, WEIR, Case, has_queue, have, main

SOURCE = Path(os.environ.get("WEIR_SOURCE", Path(__file__).resolve().parents[2]))
MAN = SOURCE / "docs/man"
BASH = SOURCE / "completions/weir.bash"
ZSH = SOURCE / "completions/_weir"

ASK_BASH = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
_weir "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


SUBCOMMANDS = ("run", "push", "work", "jobs")
PAGES = ("weir.1", *(f"weir-{name}.1" for name in SUBCOMMANDS))


def known_options(subcommand="run"):
    """As the manual describes them; whether the program has them is a test of its own."""
    names = set()
    page = MAN / f"weir-{subcommand}.1"
    for line in re.findall(r"^\.It Fl (.*)$", page.read_text(), re.M):
        names.update("-" + word for word in re.findall(r"(?<![\w-])-[a-z][a-z-]+", line))
    return names


class Manual(Case):
    def test_the_pages_are_flawless(self):
        if not have("mandoc"):
            self.skipTest("mandoc is not installed")
        result = self.run_it(*("-Tlint", "-W", "style", *PAGES), program=("mandoc",), cwd=MAN)
        # It also says when its database does not know the pages of others on this machine.
        lines = (result.out + result.err).decode().splitlines()
        self.assertEqual([line for line in lines if "outdated mandoc.db" not in line], [])

    def test_every_option_of_the_help_has_its_paragraph(self):
        for subcommand in SUBCOMMANDS:
            text = self.weir(subcommand, program=(WEIR, "help")).out.decode()
            # Behind the examples, and but for what is said of other subcommands.
            named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - {"--help"}
            known = known_options(subcommand) - {"--help"}
            self.assertLessEqual(named, known, subcommand)
            if subcommand != "run":
                self.assertEqual(named, known, subcommand)
        self.assertGreater(len(known_options()), 30)

    def test_the_program_has_every_option_of_the_manual(self):
        """As the last word: it is complete, lacks its value, or lacks the command."""
        for subcommand in SUBCOMMANDS if has_queue() else ("run",):
            page = (MAN / f"weir-{subcommand}.1").read_text()
            letters = re.findall(r"^\.It Fl (\w) ,", page, re.M)
            program = (WEIR, subcommand)
            unknown = self.run_it("--xyzzy", program=program).err.decode()
            unknown = unknown.replace("--xyzzy", "")
            for name in sorted(known_options(subcommand)) + [f"-{letter}" for letter in letters]:
                said = self.run_it(name, program=program).err.decode()
                self.assertNotEqual(said.replace(name, ""), unknown)
                self.assertNotIn("did you mean", said)
                self.assertNotIn("it is one of weir", said)


@unittest.skipUnless(have("bash"), "bash is not installed")
class Bash(Case):
    def ask(self, *words):
        result = self.run_it("-c", ASK_BASH, "bash", BASH, *words, program=("bash",))
        self.assertEqual((result.status, result.err), (0, b""), result)
        return [line for line in result.out.decode().split("\n") if line]

    def test_subcommands(self):
        self.assertEqual(self.ask("weir", "r"), ["run"])
        self.assertEqual(
            set(self.ask("weir", "")) - {"--help", "--version"},
            {*SUBCOMMANDS, "help", "version"},
        )
        self.assertEqual(self.ask("weir", "help", "ru"), ["run"])

    def test_every_option(self):
        for subcommand in SUBCOMMANDS:
            self.assertEqual(set(self.ask("weir", subcommand, "--")), known_options(subcommand))
        self.assertEqual(
            set(self.ask("weir", "run", "--re")),
            {o for o in known_options() if o.startswith("--re")},
        )

    def test_options_after_others(self):
        self.assertIn("--keep-order", self.ask("weir", "run", "-j", "4", "--tag", "--keep"))
        self.assertIn("--keep-order", self.ask("weir", "run", "--jobs", "=", "4", "--keep"))

    def test_values(self):
        self.write("list.txt", "")
        (self.cwd / "folder").mkdir()
        self.assertEqual(self.ask("weir", "run", "-a", "li"), ["list.txt"])
        self.assertEqual(self.ask("weir", "run", "--joblog", "li"), ["list.txt"])
        self.assertEqual(self.ask("weir", "run", "--joblog", "=", "li"), ["list.txt"])
        self.assertEqual(self.ask("weir", "run", "--results", ""), ["folder"])
        self.assertEqual(self.ask("weir", "run", "--halt", "now,f"), ["now,fail="])
        self.assertEqual(self.ask("weir", "run", "--retry-on", "s"), ["signal"])

    def test_commands(self):
        self.assertIn("printf", self.ask("weir", "run", "-k", "print"))
        self.script("mine", "")
        self.assertEqual(self.ask("weir", "run", "-j2", "./mi"), ["./mine"])

    def test_queues(self):
        """A URL is several words to bash."""
        url = ("redis", ":", "//host/pages")
        self.write("data", "")
        self.assertEqual(self.ask("weir", "push", "red"), ["redis://", "redis+unix:///"])
        self.assertEqual(self.ask("weir", "push", *url, "--ke"), ["--key"])
        self.assertEqual(self.ask("weir", "push", "-q", *url, "-a", "da"), ["data"])
        self.assertEqual(self.ask("weir", "push", *url, ":::", "da"), ["data"])
        self.assertIn("printf", self.ask("weir", "work", "-j2", *url, "print"))
        self.assertEqual(self.ask("weir", "work", *url, "--dra"), ["--drain"])
        self.assertEqual(self.ask("weir", "work", *url, "cat", "da"), ["data"])
        self.assertEqual(self.ask("weir", "jobs", *url, "pau"), ["pause"])
        self.assertEqual(self.ask("weir", "jobs", *url, "dead", ""), ["retry", "drop"])
        port = ("redis", ":", "//host", ":", "6380/pages")
        self.assertEqual(self.ask("weir", "jobs", *port, "res"), ["resume"])

    def test_words_of_the_command_are_files(self):
        self.write("data", "")
        self.assertEqual(self.ask("weir", "run", "gzip", "da"), ["data"])
        self.assertEqual(self.ask("weir", "run", "gzip", ":::", "da"), ["data"])
        self.assertEqual(self.ask("weir", "run", "gzip", "--da"), [])


@unittest.skipUnless(have("zsh"), "zsh is not installed")
class Zsh(Case):
    def ask(self, *lines):
        """What a terminal shows when these are typed, each followed by two tabs."""
        self.kept = b""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.cwd)
            env = {
                **self.env,
                "TERM": "dumb",
                "COLUMNS": "200",
                "LINES": "500",
                "ZDOTDIR": str(self.cwd),
            }
            os.execvpe("zsh", ["zsh", "-f", "-i"], env)
        try:
            os.write(terminal, b"PS1='READY ' LISTMAX=10000; bindkey '^I' complete-word\n")
            os.write(terminal, f"fpath=({ZSH.parent} $fpath); autoload -U compinit\n".encode())
            os.write(terminal, b"compinit -u -D && echo LOA''DED\n")
            text = self.until(terminal, b"LOADED\r\n")
            self.assertNotIn(b"error", text)
            self.until(terminal, b"READY ")
            for line in lines:
                os.write(terminal, line.encode() + b"\t\t")
                os.write(terminal, b"\x15echo EN''D\n")  # clears the line
                yield self.until(terminal, b"END\r\n").decode("utf-8", "replace")
                self.until(terminal, b"READY ")
        finally:
            os.write(terminal, b"\x03\nexit\n")
            self.drain(terminal)
            os.close(terminal)
            os.waitpid(pid, 0)

    def until(self, terminal, wanted):
        """What it shows up to this text. What came after it is kept for the next call."""
        text, ends = self.kept, time.monotonic() + DEADLINE
        while wanted not in text:
            if time.monotonic() > ends:
                self.fail(f"{wanted!r} did not come, but {text!r}")
            if select.select([terminal], [], [], 1)[0]:
                text += os.read(terminal, 65536)
        text, wanted, self.kept = text.partition(wanted)
        return text

    def drain(self, terminal):
        ends = time.monotonic() + DEADLINE
        while time.monotonic() < ends:
            try:
                if select.select([terminal], [], [], 1)[0] and not os.read(terminal, 65536):
                    return
            except OSError:
                return

    def test_it_is_syntax(self):
        result = self.run_it("-n", ZSH, program=("zsh",))
        self.assertEqual((result.status, result.err), (0, b""))

    def test_every_option_is_there(self):
        text = ZSH.read_text()
        for subcommand in SUBCOMMANDS:
            function = text.partition(f"_weir_{subcommand}() {{")[2].partition("\n}")[0]
            options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+(?==?[\[}])", function))
            self.assertEqual(options, known_options(subcommand))

    def test_it_answers(self):
        self.write("list.txt", "")
        asked = (
            *("weir ", "weir run --re", "weir run --joblog li", "weir run -j2 --keep"),
            *("weir push --ke", "weir work redis://host/pages --dra"),
            *("weir jobs redis://host/pages ", "weir jobs redis://host/pages dead "),
        )
        shown = list(self.ask(*asked))
        for word in (*SUBCOMMANDS, "help", "version"):
            self.assertIn(word, shown[0])
        for word in ("--resume", "--retries", "--retry-on", "--retry-failed", "--results"):
            self.assertIn(word, shown[1])
        self.assertIn("list.txt", shown[2])
        self.assertIn("--keep-order", shown[3])
        self.assertIn("--key", shown[4])
        self.assertIn("--drain", shown[5])
        self.assertIn("resume", shown[6])
        self.assertIn("retry", shown[7])


if __name__ == "__main__":
    main()
