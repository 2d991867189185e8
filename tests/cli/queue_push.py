#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""weir push: what becomes a job, what a job holds, keys, limits, times; and what it refuses."""

import os
import signal
import subprocess
import time
import unittest

from servers import QueueCase
from support import WEIR, main

MEGABYTE = 1 << 20


def has_json():
    command = [WEIR, "run", "--json", "true", ":::", "{}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class Records(QueueCase):
    def bodies(self):
        """What is in the queue, one body a line of hexadecimal digits, in their order."""
        result = self.work("-j1", "--pipe", "od -An -v -tx1 | tr -d ' \\n'; echo")
        return [bytes.fromhex(line) for line in result.out.decode().split("\n")[:-1]]

    def test_values(self):
        self.push(":::", "a", "b c", "", "it's", added=4)
        self.assertEqual(self.bodies(), [b"a", b"b c", b"", b"it's"])

    def test_lines_of_standard_input(self):
        self.push(added=3, input="a\n\nno end")
        self.assertEqual(self.bodies(), [b"a", b"", b"no end"])

    def test_files_and_delimiters(self):
        self.write("one", b"a\nb\n\0c\xff\0")
        self.write("two", b"x,y")
        self.push("-0", "-a", "one", added=2)
        self.push("-d", ",", "::::", "two", added=2)
        self.assertEqual(self.bodies(), [b"a\nb\n", b"c\xff", b"x", b"y"])

    def test_nothing(self):
        self.push(added=0, input="")
        self.assertEqual(self.stats()["queued"], 0)

    def test_bytes_of_all_kinds(self):
        every = bytes(range(256)).replace(b"\n", b"")
        self.push(added=2, input=every + b"\n" + b"\0\0\0\n")
        self.assertEqual(self.bodies(), [every, b"\0\0\0"])

    def test_a_large_body(self):
        with open(self.cwd / "large", "wb") as file:
            for _ in range(64):
                file.write(b"x" * (MEGABYTE - 1) + b"y")
        with open(self.cwd / "large", "rb") as stdin:
            self.push(added=1, stdin=stdin)
        result = self.work("--pipe", "md5sum")
        expected = self.run_it("large", program=("md5sum",)).out.split()[0]
        self.assertEqual(result.out.split()[0], expected)
        self.assertEqual(self.stats()["done"], 1)

    def test_many_jobs_come_in_order(self):
        self.push(added=5000, input="".join(f"{i}\n" for i in range(5000)))
        self.assertEqual(self.stats()["queued"], 5000)
        result = self.work("-j1", "--halt", "soon,done=20", "echo")
        self.assertEqual(result.out.split()[:20], [b"%d" % i for i in range(20)])

    def test_combinations_of_sources(self):
        self.push("--colsep", "-", ":::", "a", "b", ":::", "x", "y", added=4)
        self.assertEqual(self.bodies(), [b"a-x", b"a-y", b"b-x", b"b-y"])
        self.push("--colsep", "-", "--link", ":::", "a", "b", ":::", "x", "y", added=2)
        self.assertEqual(self.bodies(), [b"a-x", b"b-y"])

    def test_a_header_goes_along(self):
        self.push("--header", "--colsep", ",", added=2, input="a,b\n1,2\n3,4\n")
        self.assertEqual(self.bodies(), [b"a,b\n1,2", b"a,b\n3,4"])

    @unittest.skipUnless(has_json(), "this build has no JSON")
    def test_what_is_no_object_is_left_out(self):
        records = '{"a":1}\n[1]\nnonsense\n'
        result = self.push("--json", added=1, left_out=2, status=2, input=records)
        lines = result.err.decode().splitlines()
        self.assertEqual(len(lines), 2, result)
        self.assertIn("record 2", lines[0])
        self.assertIn("record 3", lines[1])
        self.assertEqual(self.bodies(), [b'{"a":1}'])

    def test_a_record_becomes_a_job_before_the_input_goes_on(self):
        read, write = os.pipe()
        with os.fdopen(read, "rb") as stdin:
            run = self.start(self.url, program=(WEIR, "push"), stdin=stdin)
        os.write(write, b"first\nsec")
        self.wait_for_stats(queued=1)
        os.write(write, b"ond\n")
        self.wait_for_stats(queued=2)
        os.close(write)
        self.assertEqual(run.end().out, b"2 added, 0 known, 0 left out\n")

    def test_quietly(self):
        self.assertEqual(self.push("-q", ":::", "a").out, b"")

    def test_options_may_follow_the_url(self):
        result = self.run_it(
            *("-q", self.url, "--key", "{}", ":::", "a", "a"), program=(WEIR, "push")
        )
        self.assertEqual((result.status, result.out), (0, b""), result)
        self.assertEqual(self.stats()["queued"], 1)

    def test_the_url_of_the_environment(self):
        result = self.run_it(":::", "a", program=(WEIR, "push"), env={"WEIR_QUEUE_URL": self.url})
        self.assertEqual(result.out, b"1 added, 0 known, 0 left out\n", result)


class Keys(QueueCase):
    def test_a_job_that_is_queued_is_known(self):
        self.push("--key", "{}", ":::", "a", "b", "a", added=2, known=1)
        self.push("--key", "{}", ":::", "b", "c", added=1, known=1)
        self.assertEqual(self.stats()["queued"], 3)

    def test_a_job_that_was_done_is_known_for_a_while(self):
        self.push("--key", "{}", ":::", "a", added=1)
        self.work("true")
        self.push("--key", "{}", ":::", "a", added=0, known=1)

    def test_not_if_nothing_is_to_be_remembered(self):
        self.push("--key", "{}", "--remember", "0", ":::", "a", added=1)
        self.work("true")
        self.push("--key", "{}", "--remember", "0", ":::", "a", added=1)

    def test_a_fixed_key(self):
        self.push("--key", "nightly", ":::", "a", "b", added=1, known=1)

    def test_of_a_column(self):
        self.push("--colsep", ",", "--key", "{2}", added=2, known=1, input="a,1\nb,2\nc,1\n")
        self.push("--colsep", ",", "--header", "--key", "order-{id}", added=1, known=1,
                  input="name,id\nx,7\ny,7\n")  # fmt: skip
        self.work("true")
        self.push("--colsep", ",", "--header", "--key", "order-{id}", added=0, known=1,
                  input="id\n7\n")  # fmt: skip

    @unittest.skipUnless(has_json(), "this build has no JSON")
    def test_of_a_member(self):
        result = self.push("--json", "--key", "{id}", added=1, known=1, left_out=1, status=1,
                           input='{"id":1,"x":2}\n{"id":1}\n{"x":1}\n')  # fmt: skip
        self.assertIn("record 3", result.err.decode())
        self.assertIn("no member id", result.err.decode())

    def test_keys_that_cannot_be(self):
        result = self.push("--key", "{}", added=1, left_out=3, status=3,
                           input=b"\n" + b"k" * 1025 + b"\n\0\nright\n")  # fmt: skip
        said = result.err.decode().splitlines()
        self.assertEqual(len(said), 3, said)
        for line, word in zip(said, ("empty", "1024", "NUL")):
            self.assertIn(word, line)


class Limits(QueueCase):
    def test_it_waits_while_the_limit_is_reached(self):
        run = self.start("--limit", "4", self.url, ":::", *"abcdefghij", program=(WEIR, "push"))
        self.wait_for_stats(queued=4)
        worker = self.start_work("echo")
        self.assertEqual(run.end().out, b"10 added, 0 known, 0 left out\n")
        self.wait_for_stats(done=10, queued=0, running=0)
        worker.send(signal.SIGTERM)
        self.assertEqual(worker.end().status, 0)

    def test_a_signal_ends_the_wait(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number):
                self.work("true")
                words = ("--limit", "4", self.url, ":::", *"abcdefg")
                run = self.start(*words, program=(WEIR, "push"))
                self.wait_for_stats(queued=4)
                run.send(number)
                result = run.end()
                self.assertEqual(result.status, 128 + number, result)
                self.assertEqual(result.out, b"4 added, 0 known, 3 left out\n")

    def test_a_signal_ends_the_reading(self):
        read, write = os.pipe()
        with os.fdopen(read, "rb") as stdin:
            run = self.start(self.url, program=(WEIR, "push"), stdin=stdin)
        os.write(write, b"a\n")
        self.wait_for_stats(queued=1)
        run.send(signal.SIGINT)
        result = run.end()
        os.close(write)
        self.assertEqual(result.status, 130, result)
        self.assertIn(b"1 added, 0 known", result.out)


class Times(QueueCase):
    def test_delayed(self):
        self.push("--delay", "1h", ":::", "a", added=1)
        self.push("--delay", "1ms", ":::", "b", added=1)
        run = self.start_work("echo")
        run.read_until(b"b\n")
        run.send(signal.SIGTERM)
        self.assertEqual(run.end().out, b"b\n")
        self.assertEqual(self.stats()["delayed"], 1)

    def test_at_a_time(self):
        later = time.localtime(time.time() + 7200)
        for at in (
            time.strftime("%Y-%m-%dT%H:%M", later),
            time.strftime("%Y-%m-%d %H:%M:%S", later),
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 7200)),
            time.strftime("%H:%M", later),
            f"@{time.time() + 7200}",
        ):
            with self.subTest(at=at):
                before = self.stats()["delayed"]
                self.push("--at", at, ":::", "a", added=1)
                self.assertEqual(self.stats()["delayed"], before + 1)

    def test_a_time_that_has_passed_is_now(self):
        for at in ("2020-02-29", "2020-02-29T10:00:00Z", "@1000000000.5"):
            self.push("--at", at, ":::", "a", added=1)
        self.wait_for_stats(queued=3, delayed=0)

    def test_times_that_do_not_exist(self):
        for at in ("", "x", "24:30", "12:60", "2021-02-29", "2026-13-01", "2026-1-1", "12:00x",
                   "2026-12-31T", "@", "@x", "@0", "@-5", "12", "2026-12-31T10:00+01"):  # fmt: skip
            self.complains("push", "--at", at, self.url, ":::", "a", words=["--at", at])
        self.assertEqual(self.stats()["added"], 0)

    def test_attempts_belong_to_the_job(self):
        self.push("--retries", "3", "--backoff", "1ms..2ms", ":::", "a", added=1)
        self.push("--retries", "1", ":::", "b", added=1)
        self.work("echo {} $WEIR_ATTEMPT >>tries; exit 3", status=4)
        tries = sorted(self.read("tries").splitlines())
        self.assertEqual(tries, [b"a 1", b"a 2", b"a 3", b"b 1"])
        self.assertEqual(self.stats()["dead"], 2)


class WrongUse(QueueCase):
    def test_words(self):
        self.complains("push", words=["URL"])
        self.complains("push", ":::", "a", words=["URL"])
        self.complains("push", self.url, "a", words=["'a'", ":::"])
        self.complains("push", "-a", "missing", self.url, words=["missing"])
        self.complains("push", "-a", "x", self.url, ":::", "a", words=["-a"])
        self.complains("push", self.url, ":::", "a", ":::", "b", words=["--colsep"])

    def test_options(self):
        for options, words in (
            (("--kye", "x"), ["--kye", "--key"]),
            (("--drain",), ["--drain", "weir work"]),
            (("-j2",), ["-j", "weir run"]),
            (("--remember", "1h"), ["--remember", "--key"]),
            (("--delay", "1h", "--at", "12:00"), ["--at", "--delay"]),
            (("--json", "--colsep", ","), ["--json", "--colsep"]),
            (("--limit", "0"), ["--limit", "0"]),
            (("--retries", "0"), ["--retries", "0"]),
            (("--backoff", "2s..1s"), ["--backoff", "2s..1s"]),
            (("--remember", "x"), ["--remember", "x"]),
            (("--delay", "0"), ["--delay", "0"]),
        ):
            with self.subTest(options=options):
                self.complains("push", *options, self.url, ":::", "a", words=words)
        self.assertEqual(self.stats()["added"], 0)

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "wb") as full:
            result = self.run_it(self.url, ":::", "a", program=(WEIR, "push"), stdout=full)
        self.assertEqual(result.status, 125, result)
        self.assertEqual(self.stats()["queued"], 1)


if __name__ == "__main__":
    main()
