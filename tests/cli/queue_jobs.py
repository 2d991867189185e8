#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""weir jobs: what it shows of a queue, and what it does to it."""

import json
import re
import signal

from servers import QueueCase
from support import WEIR, have, main


class Showing(QueueCase):
    def test_an_empty_queue(self):
        text = self.jobs().out.decode()
        for name in ("queued", "delayed", "running", "dead", "done", "failed"):
            self.assertRegex(text, rf"(?m)^{name} +0\b")

    def test_what_runs_and_who_runs_it(self):
        gate = self.gate()
        self.push("--key", "k-{}", ":::", "a", "b", "c")
        self.push("--delay", "1h", ":::", "later")
        run = self.start_work("-j2", "echo {} >>started; read _ <gate")
        self.wait_for_stats(running=3)
        self.wait_until(lambda: len(self.read_or("started").split()) == 2, "two starts")
        stats = self.stats()
        self.assertEqual((stats["queued"], stats["delayed"], stats["workers"]), (0, 1, 1))
        jobs = stats["jobs"]
        self.assertEqual({job["key"] for job in jobs}, {"k-a", "k-b", "k-c"})
        self.assertEqual(len({job["worker"] for job in jobs}), 1)
        self.assertIn(f":{run.pid}", jobs[0]["worker"])
        self.assertEqual([job["attempt"] for job in jobs], [1, 1, 1])
        self.assertEqual(sum(job["started"] for job in jobs), 2)
        for job in jobs:
            self.assertGreater(job["lease_left"], 0)
            self.assertLessEqual(job["lease_left"], 30)
        text = self.jobs().out.decode()
        self.assertEqual(len(re.findall(r" running +\S+ +\S+ k-\w$", text, re.M)), 2, text)
        self.assertEqual(len(re.findall(r" waiting +\S+ +\S+ k-\w$", text, re.M)), 1, text)
        gate.open()
        self.wait_for_stats(done=3, running=0)
        run.send(signal.SIGTERM)
        run.end()

    def read_or(self, name):
        return self.read(name) if (self.cwd / name).exists() else b""

    def test_metrics(self):
        self.push(":::", "a", "b")
        self.work("true")
        self.push("--delay", "1h", ":::", "a")
        text = self.jobs("--metrics").out.decode()
        self.assertIn('weir_queue_jobs{state="delayed"} 1\n', text)
        self.assertIn("weir_queue_done_total 2\n", text)
        if have("promtool"):
            result = self.run_it("check", "metrics", program=("promtool",), input=text)
            self.assertEqual(result.status, 0, result)

    def test_watching(self):
        run = self.start("--watch", "--json", self.url, program=(WEIR, "jobs"))
        run.read_until(b'"queued":0')
        self.push(":::", "a")
        run.read_until(b'"queued":1')
        run.send(signal.SIGTERM)
        self.assertEqual(run.end().status, -signal.SIGTERM)
        for line in bytes(run.text["out"]).splitlines():
            json.loads(line)

    def test_a_server_that_may_lose_jobs(self):
        """That of this class keeps no append-only file, and evicts nothing."""
        said = self.jobs().err.decode().splitlines()
        self.assertEqual(len(said), 1, said)
        self.assertIn("append-only", said[0])
        server = self.own_server(
            appendonly="yes", maxmemory="100mb", maxmemory_policy="allkeys-lru"
        )
        said = self.jobs(url=self.url_of(server)).err.decode().splitlines()
        self.assertEqual(len(said), 1, said)
        self.assertIn("allkeys-lru", said[0])
        server = self.own_server(appendonly="yes")
        self.assertEqual(self.jobs(url=self.url_of(server)).err, b"")


class Dead(QueueCase):
    def bury(self, *records, command="echo why-{} >&2; exit 3"):
        self.push("--retries", "1", ":::", *records)
        self.work("-j1", command, status=len(records))

    def test_the_list(self):
        self.push("--retries", "2", "--backoff", "1ms", "--key", "key-{}", ":::", "a")
        self.work("echo why >&2; exit 3", status=2)
        text = self.jobs("dead").out.decode().splitlines()
        self.assertEqual(len(text), 3, text)
        self.assertRegex(text[1], r"^\S+ +2 +3 failed \S+ +key-a a$")
        self.assertEqual(text[2], "    why")
        self.assertEqual(self.jobs("dead").err, b"")

    def test_an_empty_list(self):
        self.assertEqual(self.jobs("dead").out, b"")
        self.assertEqual(self.jobs("dead", "--json").out, b"")
        self.assertEqual(self.jobs("dead", "retry").out, b"0 jobs queued again\n")
        self.assertEqual(self.jobs("dead", "drop").out, b"0 jobs dropped\n")

    def test_the_newest_come_first(self):
        self.bury("a", "b", "c")
        self.assertEqual([job["record"] for job in self.dead()], ["c", "b", "a"])

    def test_again(self):
        self.bury("a", "b")
        one = self.dead()[0]
        self.assertEqual(self.jobs("dead", "retry", one["id"]).out, b"1 job queued again\n")
        self.assertEqual(self.stats()["dead"], 1)
        self.assertEqual(self.work("echo {} $WEIR_ATTEMPT").out, b"b 1\n")
        self.assertEqual(self.jobs("dead", "retry").out, b"1 job queued again\n")
        self.assertEqual(self.work("echo {} $WEIR_ATTEMPT").out, b"a 1\n")
        self.assertEqual(self.dead(), [])

    def test_not_if_its_key_is_there_again(self):
        self.push("--retries", "1", "--key", "k", ":::", "a")
        self.work("false", status=1)
        one = self.dead()[0]["id"]
        self.push("--key", "k", ":::", "new", added=1)
        result = self.jobs("dead", "retry", one, status=1)
        self.assertIn("stays dead", result.err.decode())
        self.assertEqual(len(self.dead()), 1)

    def test_dropping(self):
        self.bury("a", "b", "c")
        one = self.dead()[0]["id"]
        self.assertEqual(self.jobs("dead", "drop", one).out, b"1 job dropped\n")
        self.assertEqual(self.jobs("dead", "drop", one, status=1).out, b"")
        self.assertEqual(self.jobs("dead", "drop").out, b"2 jobs dropped\n")
        self.assertEqual(self.stats()["dead"], 0)

    def test_what_a_terminal_would_obey(self):
        self.bury("\x1b[31mred", command="printf '\\033]0;title\\a' >&2; exit 1")
        text = self.jobs("dead").out
        self.assertNotIn(b"\x1b", text)
        self.assertNotIn(b"\a", text)
        self.assertIn(b"\\x1B[31mred", text)
        self.assertEqual(self.dead()[0]["record"], "\x1b[31mred")

    def test_long_records_are_cut(self):
        self.bury("r" * 100000, command="exit 1")
        text = self.jobs("dead").out.decode()
        self.assertLess(len(text), 1000)
        self.assertIn("(100000 bytes)", text)
        self.assertEqual(self.dead()[0]["size"], 100000)


class Acting(QueueCase):
    def test_a_pause(self):
        self.assertEqual(self.jobs("pause").out, b"paused\n")
        self.assertIn(b"paused", self.jobs().out)
        self.push(":::", "a")
        run = self.start_work("echo")
        self.wait_for_stats(workers=1)
        self.assertEqual(self.stats()["queued"], 1)
        self.assertTrue(self.stats()["paused"])
        self.assertEqual(self.jobs("resume").out, b"resumed\n")
        self.wait_for_stats(done=1)
        self.assertFalse(self.stats()["paused"])
        run.send(signal.SIGTERM)
        self.assertEqual(run.end().out, b"a\n")

    def test_cancelling_what_waits(self):
        self.push("--key", "k-{}", ":::", "a", "b")
        self.push("--delay", "1h", "--key", "later", ":::", "c")
        self.assertEqual(self.jobs("cancel", "k-a").out, b"cancelled\n")
        self.assertEqual(self.jobs("cancel", "later").out, b"cancelled\n")
        self.assertEqual(self.work("echo").out, b"b\n")
        result = self.jobs("cancel", "k-a", status=1)
        self.assertIn("k-a", result.err.decode())
        self.assertEqual(self.stats()["cancelled"], 2)

    def test_cancelling_what_runs(self):
        self.push(":::", "a")
        run = self.start_work("--lease", "600ms", "echo $$ >pid; exec sleep 1000; : {}")
        pid = self.wait_for_pid("pid")
        job = self.stats()["jobs"][0]["id"]
        self.assertIn(b"it runs until", self.jobs("cancel", job).out)
        self.wait_gone(pid)
        self.wait_for_stats(running=0, queued=0, delayed=0, dead=0)
        run.send(signal.SIGTERM)
        self.assertEqual(run.end().status, 0)


class WrongUse(QueueCase):
    def test_words(self):
        for words, named in (
            (("daed",), ["'daed'", "dead"]),
            (("puase",), ["puase", "pause"]),
            (("xyzzy",), ["xyzzy"]),
            (("dead", "retyr"), ["retyr", "retry"]),
            (("dead", "retry", "1", "2"), ["'2'"]),
            (("pause", "x"), ["'x'"]),
            (("cancel",), ["cancel", "ID"]),
            (("--watch", "dead"), ["--watch", "dead"]),
            (("--metrics", "pause"), ["--metrics", "pause"]),
            (("--json", "resume"), ["--json", "resume"]),
            (("--json", "--metrics"), ["--json", "--metrics"]),
            (("--wach",), ["--wach", "--watch"]),
            (("--key", "x"), ["--key", "weir push"]),
        ):
            with self.subTest(words=words):
                self.complains("jobs", self.url, *words, words=named)
        self.complains("jobs", words=["URL"])


if __name__ == "__main__":
    main()
