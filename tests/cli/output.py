#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What jobs write: complete, unmixed, in order, and byte by byte as they wrote it."""

import os
import subprocess
import unittest

from support import WEIR, Case, main

ALL_BYTES = bytes(range(256)) * 3


class Group(Case):
    def test_the_output_of_a_job_stays_together(self):
        """Job 1 writes its first line before job 2 writes, and its second one after."""
        self.script(
            "job",
            "echo $1 one; echo $1 ONE >&2\n: >half.$1\n"
            "until [ -e half.1 ] && [ -e half.2 ]; do sleep 0.01; done\n"
            "echo $1 two; echo $1 TWO >&2\n",
        )
        for option in ((), ("--group",)):
            result = self.weir("-j2", *option, "./job", ":::", "1", "2")
            blocks = (b"1 one\n1 two\n", b"2 one\n2 two\n")
            self.assertIn(result.out, (blocks[0] + blocks[1], blocks[1] + blocks[0]))
            blocks = (b"1 ONE\n1 TWO\n", b"2 ONE\n2 TWO\n")
            self.assertIn(result.err, (blocks[0] + blocks[1], blocks[1] + blocks[0]))
            for path in self.cwd.glob("half.*"):
                path.unlink()

    def test_it_is_printed_when_the_job_ends_and_not_before(self):
        gate = self.gate()
        self.script("job", "echo $1; if [ $1 = slow ]; then read _ <gate; fi\n")
        run = self.start("-j2", "./job", ":::", "slow", "fast")
        run.read_until(b"fast\n")
        self.assertEqual(run.text["out"], b"fast\n")
        gate.open()
        self.assertEqual(run.end().out, b"fast\nslow\n")

    def test_every_byte(self):
        self.write("data", ALL_BYTES)
        for option in ("--group", "-k", "--line-buffer", "-u"):
            self.prints(ALL_BYTES * 3, "-j1", option, "cat", ":::", "data", "data", "data")

    def test_what_is_no_line_stays_none(self):
        for option in ("--group", "-k", "--line-buffer", "-u"):
            self.prints("abc", "-j1", option, "printf", "%s", ":::", *"abc")

    def test_much_output_waits_in_a_file_that_is_gone_afterwards(self):
        size = 3 << 20
        self.script("job", f"head -c {size} /dev/zero | tr '\\0' $1\n")
        self.prints(b"a" * size + b"b" * size, "-k", "./job", ":::", "a", "b")

    def test_much_output_and_many_errors(self):
        self.script("job", "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2\n")
        result = self.weir("./job", ":::", "a")
        self.assertEqual((len(result.out), len(result.err)), (300000, 300000))

    def test_output_of_failed_jobs_is_printed_too(self):
        result = self.weir("echo {}; echo {} >&2; exit 3", ":::", "a", status=1)
        self.assertEqual(result.out, b"a\n")
        self.assertTrue(result.err.startswith(b"a\n"))

    def test_the_temporary_file_is_never_seen(self):
        gate = self.gate()
        self.script("job", "head -c 1000000 /dev/zero; : >written; read _ <gate\n")
        run = self.start("./job", ":::", "a")
        self.wait_for("written")
        self.assertEqual(list(self.scratch.iterdir()), [])
        gate.open()
        self.assertEqual(len(run.end().out), 1000000)


class LineBuffer(Case):
    def test_lines_come_at_once_and_whole(self):
        gate, more = self.gate(), self.gate("more")
        self.script(
            "job",
            'if [ $1 = a ]; then printf "one\\ntw"; : >written; read _ <gate; echo o\n'
            "else until [ -e written ]; do sleep 0.01; done; echo other; read _ <more; fi\n",
        )
        run = self.start("-j2", "--line-buffer", "./job", ":::", "a", "b")
        run.read_until(b"one\n")
        run.read_until(b"other\n")
        self.assertEqual(sorted(run.text["out"].splitlines()), [b"one", b"other"])
        gate.open()
        run.read_until(b"two\n")
        more.open()
        self.assertEqual(sorted(run.end().out.splitlines()), [b"one", b"other", b"two"])

    def test_errors_too(self):
        gate = self.gate()
        self.script("job", "echo now >&2; read _ <gate\n")
        run = self.start("--line-buffer", "./job", ":::", "a")
        run.read_until(b"now\n", "err")
        gate.open()
        run.end()

    def test_a_last_line_without_an_end_is_printed_as_it_is(self):
        self.prints("a", "--line-buffer", "printf", "%s", ":::", "a")

    def test_a_line_that_is_longer_than_any_buffer(self):
        self.script("job", "head -c 500000 /dev/zero | tr '\\0' $1; echo\n")
        out = self.weir("-j2", "--line-buffer", "./job", ":::", "a", "b").out
        self.assertEqual(sorted(out.splitlines()), [b"a" * 500000, b"b" * 500000])

    def test_lines_of_many_jobs_are_never_mixed(self):
        self.script(
            "job",
            "for n in 1 2 3 4 5 6 7 8 9; do printf $1; sleep 0.002; printf $1; echo $1; done\n",
        )
        out = self.weir("-j8", "--line-buffer", "./job", ":::", *"abcdefgh").out
        wanted = sorted(f"{letter * 3}".encode() for letter in "abcdefgh" for _ in range(9))
        self.assertEqual(sorted(out.splitlines()), wanted)


class Untouched(Case):
    def test_a_job_writes_to_the_very_file(self):
        out = self.folder / "out"
        for option in ("-u", "--ungroup"):
            with open(out, "wb") as file:
                self.run_it(option, ": {}; stat -L -c %i /dev/stdout", ":::", "a", stdout=file)
            self.assertEqual(int(out.read_bytes()), out.stat().st_ino)

    def test_it_comes_before_the_job_ends(self):
        gate = self.gate()
        self.script("job", "printf now; read _ <gate\n")
        run = self.start("-u", "./job", ":::", "a")
        run.read_until(b"now")
        gate.open()
        self.assertEqual(run.end().out, b"now")


class KeepOrder(Case):
    def test_in_the_order_of_the_input(self):
        """Each job waits for the one after it."""
        self.script(
            "job",
            ": >done.$1; [ $1 = 8 ] || until [ -e done.$(($1 + 1)) ]; do sleep 0.01; done; "
            "echo $1\n",
        )
        for option in ("-k", "--keep-order"):
            self.prints("1\n2\n3\n4\n5\n6\n7\n8\n", "-j8", option, "./job", ":::", *"12345678")
            for path in self.cwd.glob("done.*"):
                path.unlink()

    def test_errors_are_in_order_too(self):
        self.script(
            "job",
            ": >done.$1; [ $1 = 2 ] || until [ -e done.2 ]; do sleep 0.01; done; echo $1 >&2\n",
        )
        result = self.weir("-j2", "-k", "./job", ":::", "1", "2")
        self.assertEqual(result.err, b"1\n2\n")

    def test_what_is_complete_is_printed_while_others_run(self):
        gate = self.gate()
        self.script("job", "echo $1; if [ $1 = 3 ]; then read _ <gate; fi\n")
        run = self.start("-j2", "-k", "./job", ":::", *"1234")
        run.read_until(b"1\n2\n")
        self.assertEqual(run.text["out"], b"1\n2\n")
        gate.open()
        self.assertEqual(run.end().out, b"1\n2\n3\n4\n")

    def test_with_lines_as_they_come(self):
        """Those of the first unfinished job at once, those of the others when it is their turn."""
        gate = self.gate()
        self.script(
            "job",
            "if [ $1 = 1 ]; then echo 1 one; : >in; read _ <gate; echo 1 two; exit; fi\n"
            "until [ -e in ]; do sleep 0.01; done; echo $1 one; : >done.$1\n",
        )
        run = self.start("-j3", "-k", "--line-buffer", "./job", ":::", *"123")
        run.read_until(b"1 one\n")
        self.wait_for("done.2", "done.3")
        gate.open()
        self.assertEqual(run.end().out, b"1 one\n1 two\n2 one\n3 one\n")

    def ahead(self, slots, limit):
        gate = self.gate()
        self.script(
            "job",
            "if [ $1 = 1 ]; then read _ <gate; : >open; exit 0; fi\n"
            "if [ -e open ]; then :; else echo $1 >>early; fi\n",
        )
        run = self.start(f"-j{slots}", "-k", "./job", ":::", *map(str, range(1, 601)))
        least = limit // 2
        early = self.cwd / "early"
        self.wait_until(
            lambda: early.exists() and early.read_bytes().count(b"\n") >= least, "jobs ahead"
        )
        gate.open()
        self.assertEqual(run.end().status, 0)
        self.assertLessEqual(max(int(line) for line in self.read("early").split()), limit + 1)

    def test_a_slow_job_is_not_left_behind_too_far(self):
        self.ahead(2, 64)

    def test_with_many_slots_it_may_be_further(self):
        self.ahead(40, 160)

    def test_large_outputs(self):
        """200 jobs of a megabyte, several of them ahead of the first one."""
        self.script(
            "job",
            "[ $1 != 100 ] || until [ -e ahead ]; do sleep 0.01; done\n[ $1 != 110 ] || : >ahead\n"
            "yes $1 | head -c 1000000\n",
        )
        out = self.weir("-j4", "-k", "./job", ":::", *map(str, range(100, 300))).out
        self.assertEqual(len(out), 200 * 1000000)
        for n in range(200):
            part = out[n * 1000000 : (n + 1) * 1000000]
            self.assertEqual(part, (b"%d\n" % (n + 100)) * 250000)


class Tags(Case):
    def test_before_each_line(self):
        self.script("job", 'printf "%s\\n" one two; echo err >&2\n')
        result = self.weir("-k", "--tag", "./job", ":::", "a b", "c")
        self.assertEqual(result.out, b"a b\tone\na b\ttwo\nc\tone\nc\ttwo\n")
        self.assertEqual(result.err, b"a b\terr\nc\terr\n")

    def test_a_last_line_without_an_end_stays_without(self):
        for option in ("--group", "-k", "--line-buffer"):
            self.prints("x\ta\nx\tb", option, "--tag", r": {}; printf 'a\nb'", ":::", "x")
            self.prints("", option, "--tag", "true", ":::", "x")
            self.prints("x\t\nx\t\n", option, "--tag", ": {}; echo; echo", ":::", "x")

    def test_of_several_sources(self):
        self.script("job", "echo ok\n")
        self.prints("a 1\tok\n", "--tag", "./job", ":::", "a", ":::", "1")

    def test_a_text_of_ones_own(self):
        for option in (("--tagstring", "{#}:{/}|"), ("--tagstring={#}:{/}|",)):
            self.prints("1:f|\tx\n2:g|\tx\n", "-k", *option, ": {}; echo x", ":::", "d/f", "g")

    def test_lines_that_come_at_once(self):
        gate = self.gate()
        self.script("job", "echo $1; read _ <gate\n")
        run = self.start("--tag", "--line-buffer", "./job", ":::", "a")
        run.read_until(b"a\ta\n")
        gate.open()
        self.assertEqual(run.end().out, b"a\ta\n")

    def test_a_line_longer_than_any_buffer_has_one_tag(self):
        self.script("job", "head -c 300000 /dev/zero | tr '\\0' x; echo; echo y\n")
        for option in ("--group", "--line-buffer"):
            self.prints(b"t\t" + b"x" * 300000 + b"\nt\ty\n", "--tag", option, "./job", ":::", "t")


class Results(Case):
    def test_a_folder_a_job(self):
        result = self.weir(
            "--results", "out", "-k", "echo {}; echo e{} >&2; exit {}", ":::", *"03", status=1
        )
        self.assertEqual(sorted(os.listdir(self.cwd / "out")), ["1", "2"])
        for number, code in (("1", "0"), ("2", "3")):
            self.assertEqual(
                sorted(os.listdir(self.cwd / "out" / number)),
                ["command", "status", "stderr", "stdout"],
            )
            self.assertEqual(self.read(f"out/{number}/stdout"), f"{code}\n".encode())
            self.assertEqual(self.read(f"out/{number}/stderr"), f"e{code}\n".encode())
            self.assertEqual(self.read(f"out/{number}/status").strip(), code.encode())
            self.assertIn(
                f"echo {code}", self.read(f"out/{number}/command").decode().replace("'", "")
            )
        self.assertIn(b"3", result.out)

    def test_output_is_byte_exact_there(self):
        self.write("data", ALL_BYTES)
        self.weir("--results=deep/er/out", "cat", ":::", "data")
        self.assertEqual(self.read("deep/er/out/1/stdout"), ALL_BYTES)
        self.assertEqual(self.read("deep/er/out/1/stderr"), b"")

    def test_much_output(self):
        self.weir("--results", "out", "head -c 3000000 {}", ":::", "/dev/zero")
        self.assertEqual((self.cwd / "out/1/stdout").stat().st_size, 3000000)

    def test_no_status_of_an_earlier_run(self):
        """Whoever sees a status may read the rest: while a job runs there is none."""
        self.weir("--results", "out", "true", ":::", "a")
        gate = self.gate()
        self.script("job", ": >in; read _ <gate; exit 3\n")
        run = self.start("--results", "out", "./job", ":::", "a")
        self.wait_for("in")
        self.assertFalse((self.cwd / "out/1/status").exists())
        gate.open()
        run.end()
        self.assertEqual(self.read("out/1/status"), b"3\n")

    def test_where_no_folder_can_be_made(self):
        self.write("file", "")
        self.refuses("--results", "file", "touch", "started", ":::", "a", words=["file"])
        self.refuses("--results", "file/x", "touch", "started", ":::", "a", words=["file"])


class Verbose(Case):
    def test_each_command_before_its_output(self):
        result = self.weir("-v", "-k", "echo", "{}", ":::", "a b", "c")
        lines = (result.out + result.err).decode().splitlines()
        self.assertIn("echo 'a b'", lines)
        self.assertIn("echo c", lines)
        if b"echo c" in result.out:
            self.assertLess(lines.index("echo c"), lines.index("c"))
        self.summary(result, ok=2)

    def test_the_long_name(self):
        self.summary(self.weir("--verbose", "true", ":::", "a"), ok=1)


class DryRun(Case):
    def test_prints_and_runs_nothing(self):
        self.prints(
            "touch 'a b' x\ntouch c x\n", "-k", "--dry-run", "touch", "{}", "x", ":::", "a b", "c"
        )
        self.assertEqual(os.listdir(self.cwd), [])

    def test_makes_no_log_and_no_results(self):
        self.weir("--dry-run", "--joblog", "log", "--results", "res", "true", ":::", "a")
        self.assertEqual(self.rows() if (self.cwd / "log").exists() else [], [])
        self.assertFalse((self.cwd / "res" / "1").exists())

    def test_of_a_shell_line(self):
        self.prints("gzip -c 'a b' > 'a b'.gz\n", "--dry-run", "gzip -c {} > {}.gz", ":::", "a b")


class Trouble(Case):
    def full(self, *args, jobs=50, **more):
        """Output cannot be written: a sentence, no new jobs, exit not 0."""
        with open("/dev/full", "wb") as file:
            numbers = map(str, range(jobs))
            result = self.run_it(*args, ":::", *numbers, stdout=file, **more)
        self.assertNotEqual(result.status, 0, result)
        self.assertIn(b"No space left", result.err, result)
        return result

    def test_a_full_disk(self):
        for options in ((), ("-k",), ("--line-buffer",), ("--tag",)):
            self.full("-j1", *options, "echo {} >>ran; echo {}")
            self.assertLess(self.read("ran").count(b"\n"), 10, options)
            (self.cwd / "ran").unlink()

    def test_a_full_disk_is_one_sentence(self):
        result = self.full("-j2", "echo {}")
        self.assertEqual(result.err.count(b"No space left"), 1, result)

    def test_a_full_disk_and_a_dry_run(self):
        self.full("--dry-run", "echo {}")

    def test_a_reader_that_goes_away(self):
        for options in ((), ("-k",), ("--line-buffer",), ("--tag",), ("-v",)):
            script = (
                '{ "$WEIR" run -j1 "$@" "echo {} >>ran; echo {}" ::: $(seq 500) 2>err; '
                'echo $? >status; } | head -n 1'
            )
            result = self.run_it("-c", script, "sh", *options, program=("sh",), env={"WEIR": WEIR})
            self.wait_for("status")
            self.assertEqual(len(result.out.splitlines()), 1)
            self.assertNotEqual(int(self.read("status")), 0, options)
            self.assertLess(self.read("ran").count(b"\n"), 400, options)
            self.assertTrue(self.read("err"), options)
            for path in self.cwd.iterdir():
                path.unlink()

    def test_a_closed_standard_output(self):
        script = '"$WEIR" run -j1 "echo {} >>ran; echo {}" ::: 1 2 3 >&-'
        result = self.run_it("-c", script, program=("sh",), env={"WEIR": WEIR})
        self.assertNotEqual(result.status, 0)
        self.assertTrue(result.err)
        ran = self.cwd / "ran"
        self.assertLess(ran.read_bytes().count(b"\n") if ran.exists() else 0, 3)

    def test_a_reader_of_ungrouped_output_leaves(self):
        reader, writer = os.pipe()
        run = self.start("-u", "-j1", "echo {}", ":::", *"123456", stdout=writer)
        os.close(writer)
        os.close(reader)
        ended = run.end()
        self.assertEqual(ended.status, 125)
        self.assertIn(b"not run", ended.err)

    def test_a_closed_standard_error(self):
        script = '"$WEIR" run "echo {}; echo e >&2" ::: 1 2>&-'
        result = self.run_it("-c", script, program=("sh",), env={"WEIR": WEIR})
        self.assertEqual(result.out, b"1\n")

    def test_closed_standard_output_of_silent_jobs_matters_to_nobody(self):
        script = '"$WEIR" run true ::: 1 2 3 >&-'
        result = self.run_it("-c", script, program=("sh",), env={"WEIR": WEIR})
        self.assertIn(result.status, (0, 125), result)

    def test_a_terminal_that_takes_its_time(self):
        """Output into a pipe that nobody reads for a while, all of it arrives."""
        reader, writer = os.pipe()
        run = self.start("-k", "-j2", "seq {} 1 30000", ":::", "1", "2", stdout=writer)
        os.close(writer)
        with open(reader, "rb") as file:
            out = file.read()
        self.assertEqual(run.end().status, 0)
        self.assertEqual(out.count(b"\n"), 60000 - 1)

    def test_no_folder_for_temporary_files(self):
        """What is short needs none; what is long is not lost in silence."""
        env = {"TMPDIR": str(self.folder / "missing")}
        self.prints("a\n", "echo", ":::", "a", env=env)
        result = self.run_it("-j1", "head -c 1000000 {}", ":::", *["/dev/zero"] * 20, env=env)
        if result.status == 0:  # it found another place
            self.assertEqual(len(result.out), 20000000)
        else:
            self.assertIn(b"missing", result.err)
            self.assertLess(len(result.out), 20000000)

    @unittest.skipUnless(os.geteuid() == 0, "only root mounts")
    def test_a_full_disk_under_the_temporary_files(self):
        small = self.folder / "small"
        small.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=512k", "none", small], check=False
        )
        if mounted.returncode != 0:
            self.skipTest("mounts are not allowed here")
        try:
            env = {"TMPDIR": str(small)}
            result = self.run_it(
                *("-j1", "echo {} >>ran; head -c 2000000 /dev/zero", ":::"),
                *map(str, range(50)),
                env=env,
            )
            self.assertNotEqual(result.status, 0)
            self.assertIn(b"No space left", result.err)
            self.assertLess(self.read("ran").count(b"\n"), 10)
            self.assertEqual(list(small.iterdir()), [])
            self.prints("a\n", "echo", ":::", "a", env=env)
        finally:
            subprocess.run(["umount", small], check=True)


if __name__ == "__main__":
    main()
