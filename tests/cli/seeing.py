#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What weir shows while it works: the bar, the progress file, metrics, the timeline, help."""

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios

from support import WEIR, Case, main


class Terminal:
    """A pseudo-terminal, and what was written to it."""

    def __init__(self):
        self.master, self.slave = pty.openpty()
        self.text = b""

    def read_some(self, seconds=0.05):
        ready, _, _ = select.select([self.master], [], [], seconds)
        if ready:
            try:
                self.text += os.read(self.master, 65536)
            except OSError:
                pass

    def close(self):
        os.close(self.master)
        os.close(self.slave)


class Bar(Case):
    def setUp(self):
        super().setUp()
        try:
            self.terminal = Terminal()
        except OSError as error:
            self.skipTest(f"no pseudo-terminal: {error}")
        self.addCleanup(self.terminal.close)

    def begin(self, *options, **more):
        self.gate_of_bar = self.gate()
        self.script("job", '[ "$1" != 3 ] || { : >in.3; read _ <gate; }\nexit 0\n')
        run = self.start(
            "-j1", *options, "./job", ":::", *"12345", stderr=self.terminal.slave, **more
        )
        self.wait_for("in.3")
        return run

    def shows(self, pattern):
        def found():
            self.terminal.read_some()
            return re.search(pattern, self.terminal.text)

        self.wait_until(found, f"{pattern!r} on the terminal")

    def ends(self, run):
        self.gate_of_bar.open()
        result = run.end()
        for _ in range(3):
            self.terminal.read_some()
        self.assertEqual(result.status, 0, self.terminal.text)

    def test_on_a_terminal(self):
        run = self.begin()
        self.shows(rb"2/5")
        self.ends(run)

    def test_it_shows_what_runs_longest(self):
        run = self.begin()
        self.shows(rb"\./job 3")
        self.ends(run)

    def test_it_is_gone_at_the_end(self):
        run = self.begin()
        self.shows(rb"2/5")
        self.ends(run)
        last = self.terminal.text.replace(b"\r\n", b"\n").split(b"\n")[-1]
        shown = re.split(rb"\r|\x1b\[2?K|\x1b\[J", last)[-1]
        self.assertNotIn(b"/5", shown)

    def test_not_without_a_terminal(self):
        result = self.weir("true", ":::", *"123")
        self.assertEqual(result.err, b"")

    def test_not_where_output_is_a_terminal_too(self):
        run = self.begin(stdout=self.terminal.slave)
        self.ends(run)
        self.assertNotIn(b"2/5", self.terminal.text)

    def test_by_force(self):
        run = self.start("-j1", "--bar", "sh -c 'sleep 0.3; : {}'", ":::", *"123")
        result = run.end()
        self.assertEqual(result.status, 0)
        self.assertIn(b"/3", result.err)

    def test_never(self):
        run = self.begin("--no-bar")
        self.ends(run)
        self.assertNotIn(b"/5", self.terminal.text)

    def test_a_total_that_is_not_known_yet(self):
        run = self.start("-j1", "echo", stdin=subprocess.PIPE, stderr=self.terminal.slave)
        run.process.stdin.write(b"a\nb\n")
        run.read_until(b"b\n")
        self.shows(rb"2/")
        run.process.stdin.close()
        self.assertEqual(run.end().status, 0)

    def test_control_characters_of_a_record_do_not_reach_the_terminal(self):
        self.gate_of_bar = self.gate()
        self.script("job", ": >in; read _ <gate\n")
        run = self.start(
            "./job", ":::", "evil\x1b]0;title\x07\x1b[31m\rname", stderr=self.terminal.slave
        )
        self.wait_for("in")
        self.shows(rb"evil")
        self.ends(run)
        self.assertNotIn(b"\x1b]0;", self.terminal.text)
        self.assertNotIn(b"\x1b[31m", self.terminal.text)

    def test_a_narrow_terminal(self):
        size = struct.pack("HHHH", 10, 20, 0, 0)
        fcntl.ioctl(self.terminal.slave, termios.TIOCSWINSZ, size)
        run = self.begin()
        self.shows(rb"2/5")
        self.ends(run)
        for line in re.split(rb"[\r\n]+|\x1b\[2?K", self.terminal.text):
            plain = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", line)
            self.assertLessEqual(len(plain.decode("utf-8", "replace")), 20, self.terminal.text)

    def test_jobs_output_of_errors_does_not_mix_with_the_bar(self):
        self.gate_of_bar = self.gate()
        self.script("job", 'echo "errors of $1" >&2; [ "$1" != 3 ] || { : >in.3; read _ <gate; }\n')
        run = self.start("-j1", "./job", ":::", *"12345", stderr=self.terminal.slave)
        self.wait_for("in.3")
        self.shows(rb"2/5")
        self.ends(run)
        self.shows(rb"(?m)(^|\r|\x1b\[K|\x1b\[2K|\x1b\[J)errors of 5\r?$")


class ProgressFile(Case):
    def lines(self):
        return [json.loads(line) for line in self.read("progress").decode().splitlines()]

    def test_an_object_a_second_while_it_runs(self):
        gate = self.gate()
        self.script("job", '[ "$1" != 3 ] || { : >in.3; read _ <gate; }\n')
        run = self.start("-j1", "--progress", "progress", "./job", ":::", *"12345")
        self.wait_for("in.3")

        def two_lines():
            path = self.cwd / "progress"
            return path.exists() and path.read_bytes().count(b"\n") >= 2

        self.wait_until(two_lines, "two lines of progress")
        gate.open()
        self.assertEqual(run.end().status, 0)
        text = json.dumps(self.lines())
        self.assertIn("done", text)
        self.assertIn("failed", text)

    def test_the_last_one_is_the_end(self):
        self.weir("-j1", "--progress=progress", "exit {}", ":::", *"0010", status=1)
        last = self.lines()[-1]
        self.assertIn(4, last.values())
        self.assertIn(1, last.values())

    def test_to_a_descriptor(self):
        result = self.weir("--progress", "/dev/stderr", "true", ":::", "a")
        for line in result.err.splitlines():
            json.loads(line)


class Metrics(Case):
    NAME = re.compile(
        r"^(# (HELP|TYPE) [a-z_:]+ .+|[a-zA-Z_:][\w:]*(\{[^}]*\})? [-+0-9.eEInfNa]+)$"
    )

    def test_prometheus_text(self):
        self.weir("-j1", "--metrics", "metrics", "exit {}", ":::", *"0010", status=1)
        lines = self.read("metrics").decode().splitlines()
        self.assertTrue(lines)
        for line in lines:
            self.assertRegex(line, self.NAME)
        values = [line.split()[-1] for line in lines if not line.startswith("#")]
        self.assertIn("3", [value.removesuffix(".0") for value in values])
        self.assertEqual([path.name for path in self.cwd.glob("*")], ["metrics"])

    def test_it_is_replaced_and_never_half_written(self):
        self.write("metrics", "old\n")
        before = (self.cwd / "metrics").stat().st_ino
        self.weir("--metrics=metrics", "true", ":::", "a")
        self.assertNotEqual((self.cwd / "metrics").stat().st_ino, before)

    def test_names_and_types_are_declared_before_their_values(self):
        self.weir("--metrics", "metrics", "true", ":::", "a")
        declared = set()
        for line in self.read("metrics").decode().splitlines():
            if line.startswith("# TYPE"):
                declared.add(line.split()[2])
            elif not line.startswith("#"):
                name = re.match(r"[\w:]+", line)[0]
                bases = {name, re.sub(r"_(bucket|sum|count)$", "", name)}
                self.assertTrue(bases & declared, line)
                self.assertTrue(name.startswith("weir_"), line)


class Trace(Case):
    def test_a_timeline_that_opens_in_perfetto(self):
        self.weir("-j2", "--trace", "trace", "exit {}", ":::", *"0010", status=1)
        trace = json.loads(self.read("trace"))
        events = trace["traceEvents"] if isinstance(trace, dict) else trace
        spans = [event for event in events if event.get("ph") == "X"]
        if not spans:
            begins = [event for event in events if event.get("ph") in "Bb"]
            ends = [event for event in events if event.get("ph") in "Ee"]
            self.assertEqual(len(begins), len(ends))
            spans = begins
        self.assertEqual(len([e for e in spans if "exit" in json.dumps(e)]), 4)
        lanes = {(event["pid"], event["tid"]) for event in spans}
        self.assertLessEqual(len(lanes), 2)

    def test_any_record_is_json(self):
        self.weir("-0", "--trace=trace", "true", input=b"\xff\x00\"\x00\\\x00a\nb\x00\x01\x00")
        json.loads(self.read("trace").decode("utf-8"))

    def test_a_run_that_is_stopped_leaves_a_whole_one(self):
        self.weir("--trace", "trace", "--deadline", "200ms", "sleep", ":::", "3600", status=124)
        json.loads(self.read("trace"))


class Help(Case):
    def ask(self, *words, status=0):
        result = self.run_it(*words, program=(WEIR,))
        self.assertEqual(result.status, status, result)
        return result

    def test_of_run_fits_two_screens(self):
        text = self.weir("--help").out.decode()
        self.assertLessEqual(len(text.splitlines()), 100)
        for line in text.splitlines():
            self.assertLessEqual(len(line), 80, line)
        self.assertIn("weir run", text)
        self.assertEqual(self.weir("-h").out.decode(), text)
        self.assertEqual(self.ask("help", "run").out.decode(), text)

    def test_help_comes_whatever_else_is_said(self):
        self.assertTrue(self.weir("-j2", "--help", "echo", ":::", "a").out)

    def test_overview(self):
        text = self.ask("help").out.decode()
        self.assertIn("run", text)
        self.assertEqual(self.ask("--help").out.decode(), text)

    def test_version(self):
        text = self.ask("version").out.decode()
        self.assertRegex(text, r"^weir \d+\.\d+\.\d+")
        self.assertEqual(self.ask("--version").out.decode(), text)

    def test_help_into_a_full_disk_fails(self):
        with open("/dev/full", "wb") as file:
            for words in (("help",), ("help", "run"), ("version",), ("run", "--help")):
                result = self.run_it(*words, program=(WEIR,), stdout=file)
                self.assertNotEqual(result.status, 0, words)


if __name__ == "__main__":
    main()
