#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The job log, what is resumed by it, and the log of attempts."""

import json
import os
import random
import select
import signal
import subprocess
import unittest
from collections import Counter

from support import WEIR, Case, have, main

COLUMNS = "Seq Host Starttime JobRuntime Send Receive Exitval Signal Command".split()


class JobLog(Case):
    def test_columns_and_values(self):
        self.weir("-j1", "--joblog", "log", "exit", ":::", "x", status=1)
        self.weir("-j1", "--joblog=log", "echo a{}; exit {}", ":::", "0", "3", status=1)
        head = self.read("log").split(b"\n")[0].decode()
        self.assertEqual(head.split("\t"), COLUMNS)
        rows = self.rows()
        self.assertEqual([row["Seq"] for row in rows], ["1", "2"])
        self.assertEqual([row["Host"] for row in rows], [":", ":"])
        self.assertEqual([row["Exitval"] for row in rows], ["0", "3"])
        self.assertEqual([row["Signal"] for row in rows], ["0", "0"])
        self.assertEqual([row["Send"] for row in rows], ["0", "0"])
        self.assertEqual([row["Receive"] for row in rows], ["3", "3"])
        for row in rows:
            self.assertRegex(row["Starttime"].strip(), r"^\d{10}\.\d{3}$")
            self.assertRegex(row["JobRuntime"].strip(), r"^\d+\.\d{3}$")
        self.assertEqual([row["Command"] for row in rows], ["echo a0; exit 0", "echo a3; exit 3"])

    def test_signals_and_time_outs(self):
        self.weir("--joblog", "log", "kill -{} $$; sleep 9", ":::", "KILL", "USR2", status=2)
        self.assertEqual(sorted(row["Signal"] for row in self.rows()), ["12", "9"])
        self.weir("--joblog", "log2", "--timeout", "100ms", "sleep", ":::", "3600", status=1)
        row = self.rows("log2")[0]
        self.assertEqual((row["Exitval"], row["Signal"]), ("-1", "15"))

    def test_a_row_is_one_line_whatever_the_record_is(self):
        records = [b"a\nb", b"c\td", b"\\n", b"\xff", b"'", b"", b"a\r"]
        self.weir("-j1", "-0", "--joblog", "log", "true", input=b"\0".join(records) + b"\0")
        self.assertEqual(len(self.rows()), len(records))
        for row in self.rows():
            self.assertEqual(list(row), COLUMNS)
        self.assertEqual(len({row["Command"] for row in self.rows()}), len(records))

    def test_a_row_is_there_as_soon_as_its_job_has_ended(self):
        gate = self.gate()
        self.script("job", "[ $1 = 1 ] || { : >in; read _ <gate; }\n")
        run = self.start("-j1", "--joblog", "log", "./job", ":::", "1", "2")
        self.wait_for("in")
        self.assertEqual([row["Seq"] for row in self.rows()], ["1"])
        gate.open()
        run.end()
        self.assertEqual([row["Seq"] for row in self.rows()], ["1", "2"])

    def test_a_new_run_begins_a_new_log(self):
        self.weir("--joblog", "log", "true", ":::", "a", "b")
        self.weir("--joblog", "log", "true", ":::", "c")
        self.assertEqual([row["Command"] for row in self.rows()], ["true c"])

    def test_one_row_for_all_attempts(self):
        self.weir("--joblog", "log", "--retries", "3", "exit {}", ":::", "4", status=1)
        self.assertEqual([row["Exitval"] for row in self.rows()], ["4"])

    @unittest.skipUnless(have("parallel"), "GNU parallel is not installed")
    def test_the_same_log_as_parallel_writes(self):
        command = ("-j1", "--joblog", "log", "echo {}; exit {}", ":::", "0", "5")
        self.peer("parallel", *command)
        theirs = self.rows()
        self.weir(*command, status=1)
        self.assertEqual(len(theirs), 2)
        for own, their in zip(self.rows(), theirs):
            for column in ("Seq", "Host", "Send", "Receive", "Exitval", "Signal", "Command"):
                self.assertEqual(own[column], their[column])


class Resume(Case):
    def ran(self, *args, status=0, **more):
        """What jobs ran, by a command that notes its record."""
        (self.cwd / "ran").unlink(missing_ok=True)
        self.script("job", 'echo "$1" >>ran; case $1 in f*) [ -e fixed ] || exit 3;; esac\n')
        self.result = self.weir("-j1", "--joblog", "log", *args, status=status, **more)
        ran = self.cwd / "ran"
        return ran.read_text().split() if ran.exists() else []

    def test_what_has_ended_is_skipped(self):
        self.assertEqual(self.ran("./job", ":::", "a", "f", "b", status=1), ["a", "f", "b"])
        self.assertEqual(self.ran("--resume", "./job", ":::", "a", "f", "b", "c"), ["c"])
        self.assertEqual(len(self.rows()), 4)

    def test_only_what_succeeded_is_skipped(self):
        self.ran("./job", ":::", "a", "f", "b", status=1)
        self.write("fixed", "")
        self.assertEqual(
            self.ran("--resume-failed", "./job", ":::", "a", "f", "b", "c"), ["f", "c"]
        )
        self.assertEqual(self.ran("--resume-failed", "./job", ":::", "a", "f", "b", "c"), [])

    def test_lines_may_be_added_removed_and_reordered(self):
        self.ran("./job", ":::", *"abcd")
        self.assertEqual(self.ran("--resume", "./job", ":::", *"xdybaz"), ["x", "y", "z"])

    def test_a_line_that_comes_twice_runs_twice(self):
        self.assertEqual(self.ran("./job", ":::", *"aba"), ["a", "b", "a"])
        self.assertEqual(self.ran("--resume", "./job", ":::", *"ababa"), ["b", "a"])
        self.assertEqual(self.ran("--resume", "./job", ":::", *"ababab"), ["b"])

    def test_another_command_is_another_job(self):
        self.ran("./job", ":::", "a")
        self.assertEqual(self.ran("--resume", "./job", "a{}", ":::", "a"), ["aa"])

    def test_sequence_and_slot_numbers_are_no_part_of_the_key(self):
        self.ran("./job", "{}", "{#}", "{%}", ":::", "a", "b")
        self.assertEqual(self.ran("--resume", "./job", "{}", "{#}", "{%}", ":::", *"bca"), ["c"])
        self.ran("./job {} {#}", ":::", "a", "b")
        self.assertEqual(self.ran("--resume", "./job {} {#}", ":::", *"bca"), ["c"])

    def test_commands_that_differ_by_how_they_are_cut_are_different(self):
        self.ran("./job", "x", "{}", ":::", "a b")
        ran = self.ran("--resume", "./job", "x", "{}", ":::", "a", "b", "a b")
        self.assertEqual(len(ran), 2)

    def test_where_no_log_is_yet(self):
        self.assertEqual(self.ran("--resume", "./job", ":::", "a"), ["a"])
        self.assertEqual(self.ran("--resume", "./job", ":::", "a"), [])

    def test_an_empty_log(self):
        self.write("log", "")
        self.assertEqual(self.ran("--resume", "./job", ":::", "a"), ["a"])
        self.assertEqual(len(self.rows()), 1)

    def test_a_torn_last_row_is_repaired(self):
        self.ran("./job", ":::", "a", "b", "c")
        whole = self.read("log")
        last = whole[:-1].rindex(b"\n") + 1
        for cut in sorted(
            {last, last + 1, last + 5, len(whole) - 20, len(whole) - 3, len(whole) - 1}
        ):
            self.write("log", whole[:cut])
            ran = self.ran("--resume", "./job", ":::", "a", "b", "c")
            self.assertEqual(ran, ["c"], f"cut at {cut} of {len(whole)}")
            self.assertEqual(
                [row["Command"] for row in self.rows()], ["./job a", "./job b", "./job c"]
            )
            for row in self.rows():
                self.assertEqual(row["Exitval"], "0")

    def test_a_torn_header_is_repaired(self):
        self.ran("./job", ":::", "a")
        whole = self.read("log")
        for cut in (1, 4, whole.index(b"\n")):
            self.write("log", whole[:cut])
            self.assertEqual(self.ran("--resume", "./job", ":::", "a"), ["a"], cut)
            self.assertEqual(len(self.rows()), 1)

    def test_records_of_any_bytes(self):
        records = [
            b"a\nb", b"c\td", b"\\n", b"\xff", b"'", b"a", b"a\r", b"\\", b"\\t", b"a b", b""
        ]
        data = b"\0".join(records) + b"\0"
        self.script("log1", 'printf "%s\\0" "$1" >>ran\n')
        command = ("-j1", "-0", "--joblog", "log", "./log1", "{}")
        self.weir(*command, input=data)
        self.assertEqual(self.read("ran"), data)
        self.weir("--resume", *command, input=b"new\0" + data)
        self.assertEqual(self.read("ran"), data + b"new\0")

    def test_what_weir_stopped_has_not_ended(self):
        self.script("job", 'echo "$1" >>ran; [ -e fixed ] || { : >in.$1; exec sleep 3600; }\n')
        run = self.start("-j1", "--joblog", "log", "./job", ":::", "a", "b")
        self.wait_for("in.a")
        run.send(signal.SIGINT)
        run.read_until(b"\n", "err")
        run.send(signal.SIGINT)
        self.assertEqual(run.end().status, 130)
        self.write("fixed", "")
        self.weir("-j1", "--resume", "--joblog", "log", "./job", ":::", "a", "b")
        self.assertEqual(self.read("ran"), b"a\na\nb\n")

    def test_what_a_deadline_stopped_has_not_ended(self):
        self.script("job", 'echo "$1" >>ran; [ -e fixed ] || exec sleep 3600\n')
        self.weir("--deadline", "300ms", "--joblog", "log", "./job", ":::", "a", status=124)
        self.write("fixed", "")
        self.weir("--resume", "--joblog", "log", "./job", ":::", "a")
        self.assertEqual(self.read("ran"), b"a\na\n")

    def test_what_a_halt_stopped_has_not_ended(self):
        self.script(
            "job",
            'echo "$1" >>ran; [ -e fixed ] && exit 0\n'
            "if [ $1 = a ]; then : >in; exec sleep 3600; fi; until [ -e in ]; do sleep 0.01; "
            "done; exit 1\n",
        )
        self.weir(
            "-j2", "--halt", "now,fail=1", "--joblog", "log", "./job", ":::", "a", "b", status=1
        )
        self.write("fixed", "")
        self.weir("-j1", "--resume", "--joblog", "log", "./job", ":::", "a", "b")
        self.assertEqual(Counter(self.read("ran").split()), {b"a": 2, b"b": 1})

    def test_a_time_out_has_ended(self):
        self.script("job", 'echo "$1" >>ran; exec sleep 3600\n')
        self.weir("--timeout", "100ms", "--joblog", "log", "./job", ":::", "a", status=1)
        self.weir("--resume", "--joblog", "log", "./job", ":::", "a")
        self.assertEqual(self.read("ran"), b"a\n")

    def test_the_failed_commands_of_the_log(self):
        self.ran("./job", ":::", "a", "f1", "b", "f 2", "f'3", status=3)
        self.write("fixed", "")
        (self.cwd / "ran").unlink()
        self.weir("-j1", "--retry-failed", "--joblog", "log")
        self.assertEqual(self.read("ran"), b"f1\nf 2\nf'3\n")

    def test_the_failed_commands_of_a_shell_line(self):
        self.write("x y", "")
        command = "echo {} >>ran; test -e fixed || exit 1"
        self.weir("-j1", "--joblog", "log", command, ":::", "x y", "$(touch pwned)", status=2)
        self.write("fixed", "")
        self.weir("-j1", "--retry-failed", "--joblog", "log")
        self.assertEqual(self.read("ran"), b"x y\n$(touch pwned)\n" * 2)
        self.assertFalse((self.cwd / "pwned").exists())
        self.weir("-j1", "--retry-failed", "--joblog", "log")
        self.assertEqual(self.read("ran"), b"x y\n$(touch pwned)\n" * 2)

    def test_jobs_that_differ_by_their_numbers_alone(self):
        """The second has ended, the first has not: it is the first that a resume runs."""
        self.gate()
        command = "echo {#} >>ran; [ {#} != 1 ] || test -e fixed || read _ <gate; [ {#} != 3 ]"
        options = ("-j2", "--joblog", "log", "--halt", "now,fail=1", command)
        self.weir(*options, ":::", "a", "b", "c", status=1)
        self.assertEqual(sorted(row["Seq"] for row in self.rows()), ["2", "3"])
        (self.cwd / "ran").unlink()
        self.write("fixed", "")
        self.weir("--resume", *options, ":::", "a", "b", "c")
        self.assertEqual(self.read("ran"), b"1\n")
        self.weir("--resume", *options, ":::", "a", "b", "c", "d")
        self.assertEqual(self.read("ran"), b"1\n4\n")

    def test_the_failed_commands_have_their_numbers_again(self):
        command = "echo {#} {%} {} >>ran; test -e fixed"
        self.weir("-j1", "--joblog", "log", command, ":::", "a", "b", status=2)
        self.weir("-j1", "--joblog", "log", "--retry-failed", status=2)
        self.write("fixed", "")
        self.weir("-j1", "--joblog", "log", "--retry-failed")
        self.assertEqual(self.read("ran"), b"1 1 a\n2 1 b\n" * 3)
        self.weir("-j1", "--joblog", "log", "--resume", command, ":::", "b", "a")
        self.assertEqual(self.read("ran"), b"1 1 a\n2 1 b\n" * 3)

    def test_a_log_of_another_kind_is_left_alone(self):
        self.write("log", "this is\nmy diary\n")
        self.refuses("--joblog", "log", "--resume", "touch", "started", ":::", "a", words=["log"])
        self.assertEqual(self.read("log"), b"this is\nmy diary\n")

    @unittest.skipUnless(have("parallel"), "GNU parallel is not installed")
    def test_a_log_of_parallel_is_taken_over(self):
        self.script("job", 'echo "$1" >>ran\n')
        self.peer("parallel", "-j1", "--joblog", "log", "./job", ":::", "a", "b c")
        self.weir("-j1", "--resume", "--joblog", "log", "./job", ":::", "a", "b c", "d")
        self.assertEqual(self.read("ran"), b"a\nb c\nd\n")


class Killed(Case):
    """kill -9 at any point, then --resume, until all is done."""

    JOBS = 400

    def logged(self):
        path = self.cwd / "log"
        if not path.exists():
            return Counter()
        lines = path.read_bytes().split(b"\n")[1:-1]  # the last one is torn, or empty
        return Counter(line.split(b"\t", 8)[8] for line in lines if line.count(b"\t") >= 8)

    def test_no_record_is_skipped_and_none_that_was_logged_runs_again(self):
        chance = random.Random(20260101)
        records = [f"r{n % (self.JOBS * 3 // 4)}" for n in range(self.JOBS)]  # some come twice
        chance.shuffle(records)
        self.script("job", 'echo "$1" >>ran\n')
        command = ("-j4", "--joblog", "log", "--resume", "./job")
        ran_before, kills = Counter(), 0
        while True:
            logged = self.logged()
            list_now = records[:]
            chance.shuffle(list_now)
            self.write("list", "".join(record + "\n" for record in list_now))
            # Every process of this run has it open, also one that has not become the job yet.
            gone, alive = os.pipe()
            run = self.start("-a", "list", *command, stderr=subprocess.DEVNULL, pass_fds=(alive,))
            os.close(alive)
            wait = chance.randrange(1, 80)
            path = self.cwd / "ran"
            goal = (path.stat().st_size if path.exists() else 0) + wait * 4
            self.wait_until(
                lambda: run.process.poll() is not None
                or path.exists() and path.stat().st_size >= goal,
                "jobs",
            )
            killed = run.process.poll() is None
            if killed:
                run.send(signal.SIGKILL)
                kills += 1
            status = run.end().status
            self.assertEqual(select.select([gone], [], [], 60)[0], [gone], "a job does not end")
            self.assertEqual(os.read(gone, 1), b"")
            os.close(gone)
            ran = Counter(self.read("ran").split())
            new = ran - ran_before
            for record, count in logged.items():
                name = record.split()[-1]
                rest = Counter(records)[name.decode()] - count
                self.assertLessEqual(new[name], rest, f"{name} was logged and ran again")
            ran_before = ran
            if not killed:
                self.assertEqual(status, 0)
                break
        self.assertGreater(kills, 3)
        wanted = Counter(f"./job {record}".encode() for record in records)
        self.assertEqual(self.logged(), wanted)
        for record, count in Counter(records).items():
            self.assertGreaterEqual(ran_before[record.encode()], count)
        again = self.weir("-a", "list", *command)
        self.assertEqual((again.out, again.err), (b"", b""))
        self.assertEqual(Counter(self.read("ran").split()), ran_before)


class AttemptLog(Case):
    def lines(self, name="nd"):
        return [
            json.loads(line) for line in self.read(name).decode("utf-8", "replace").splitlines()
        ]

    def test_a_line_an_attempt(self):
        self.weir(
            *("-j1", "--log", "nd", "--retries", "2", "echo {}; [ {} = ok ]", ":::", "ok", "bad"),
            status=1,
        )
        lines = self.lines()
        self.assertEqual(
            [(line["seq"], line["attempt"]) for line in lines], [(1, 1), (2, 1), (2, 2)]
        )
        for line in lines:
            self.assertEqual(line["slot"], 1)
            self.assertLessEqual(line["queued"], line["start"])
            self.assertLessEqual(line["start"], line["end"])
            self.assertIn("echo", line["command"])
            self.assertGreaterEqual(line["bytes"], 3)
        self.assertEqual([line["status"] for line in lines], [0, 1, 1])
        text = json.dumps(lines).lower()
        for word in ("rss", "user", "sys", "state", "signal"):
            self.assertIn(word, text)

    def test_records_of_any_bytes_make_json(self):
        records = [
            b"a\nb", b'"', b"\\", b"\xff\xfe", b"\x01\x1f", "\u20ac".encode(), bytes(range(1, 256))
        ]
        self.weir("-0", "--log=nd", "true", input=b"\0".join(records) + b"\0")
        self.assertEqual(len(self.lines()), len(records))
        for line in self.read("nd").splitlines():
            line.decode("utf-8")

    def test_a_signal_and_a_time_out(self):
        self.weir("-j1", "--log", "nd", "kill -9 $$ {}", ":::", "1", status=1)
        self.assertEqual(self.lines()[0]["signal"], 9)
        self.weir("--log", "nd2", "--timeout", "50ms", "sleep", ":::", "3600", status=1)
        self.assertIn("timed", self.lines("nd2")[0]["state"].replace("timeout", "timed"))


class Trouble(Case):
    def test_a_folder_is_no_log(self):
        (self.cwd / "folder").mkdir()
        for option in ("--joblog", "--log", "--progress", "--metrics", "--trace"):
            self.refuses(option, "folder", "touch", "started", ":::", "a", words=["folder"])

    def test_a_log_in_a_folder_that_is_not_there(self):
        for option in ("--joblog", "--log", "--progress", "--metrics", "--trace"):
            self.refuses(option, "no/log", "touch", "started", ":::", "a", words=["no/log"])

    def test_a_full_disk_under_the_log(self):
        """Without the log a resume would run jobs twice: nothing more is started."""
        for option in ("--joblog", "--log"):
            result = self.run_it(
                *("-j1", option, "/dev/full", "echo {} >>ran", ":::"), *map(str, range(50))
            )
            self.assertNotEqual(result.status, 0, option)
            self.assertIn(b"/dev/full", result.err)
            ran = self.cwd / "ran"
            count = ran.read_bytes().count(b"\n") if ran.exists() else 0
            self.assertLess(count, 10, option)
            ran.unlink(missing_ok=True)

    def test_a_job_whose_output_is_lost_has_not_ended(self):
        """What could not be printed is run again by a resume, and so is what could not be kept."""
        command = ("-j1", "--joblog", "log", "--resume", "echo", ":::", "1", "2", "3")
        with open("/dev/full", "wb") as file:
            self.assertEqual(self.run_it(*command, stdout=file).status, 125)
        self.assertEqual(self.rows(), [])
        self.assertEqual(self.weir(*command).out, b"1\n2\n3\n")
        command = ("-j1", "--joblog", "log2", "--resume", "head -c 65537 {}", ":::", "/dev/zero")
        self.assertEqual(self.run_it(*command, env={"TMPDIR": "no/folder"}).status, 125)
        self.assertEqual(self.rows("log2"), [])
        self.assertEqual(len(self.weir(*command).out), 65537)

    def test_nothing_follows_a_torn_row(self):
        """A row behind one that is cut off would be lost with it."""
        jobs = [f"echo {n:03} {'x' * 80}" for n in range(60)]
        limited = "ulimit -f 4; exec \"$0\" run -j4 --joblog log --no-bar sh -c >/dev/null"
        text = "\n".join(jobs).encode()
        ran = subprocess.run(
            ["sh", "-c", limited, WEIR], input=text, capture_output=True, cwd=self.cwd, check=False
        )
        self.assertEqual(ran.returncode, 125, ran)
        rows, _, torn = self.read("log").rpartition(b"\n")
        self.assertGreater(rows.count(b"\n"), 5)
        self.assertNotEqual(torn, b"")
        whole = [row.split(b"\t")[8] for row in rows.split(b"\n")[1:]]
        self.weir("-j4", "--joblog", "log", "--resume", "sh", "-c", input=text)
        commands = [row["Command"] for row in self.rows()]
        self.assertEqual(len(commands), 60)
        self.assertEqual(len(set(commands)), 60)
        self.assertEqual([command.encode() for command in commands[: len(whole)]], whole)

    def test_a_log_on_a_pipe(self):
        """Somebody may want to read it as it comes."""
        run = self.start("-j1", "--joblog", "/dev/stdout", "true", ":::", "a")
        result = run.end()
        self.assertEqual(result.status, 0)
        self.assertEqual(result.out.split(b"\t")[-1], b"true a\n")


if __name__ == "__main__":
    main()
