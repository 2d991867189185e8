#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What happens when something goes wrong between workers, jobs and the server: each answer of the
cookbook's page of that name is a test here. And what weir says of a server that it cannot use.
"""

import os
import signal
import unittest
from pathlib import Path

from servers import QueueCase, redis_server
from support import WEIR, alive, main

SECRET = "s3cret-w0rd"

# Long enough for a slow machine to renew it in time, short enough to be waited for.
LEASE = "1500ms"


class Workers(QueueCase):
    """Jobs whose workers die, stop, or take long."""

    def killed(self, *options, started="started"):
        """A worker that runs a job, and is killed together with it."""
        run = self.start_work("--lease", LEASE, *options, f"echo $$ >{started}; sleep 1000; : {{}}")
        job = self.wait_for_pid(started)
        run.send(signal.SIGKILL)
        run.end()
        os.killpg(job, signal.SIGKILL)
        return run

    def test_a_worker_is_killed(self):
        """Its job starts elsewhere once the lease is over, and that costs an attempt; what it only
        had at hand has lost none."""
        self.push(":::", "a", "b")
        self.killed("-j1")
        self.assertEqual(self.stats()["running"], 2)
        out = self.work("--lease", LEASE, "-j1", "echo {} $WEIR_ATTEMPT").out
        self.assertEqual(sorted(out.splitlines()), [b"a 2", b"b 1"])
        stats = self.stats()
        self.assertEqual((stats["done"], stats["dead"], stats["taken_over"]), (2, 0, 2), stats)

    def test_a_worker_is_suspended(self):
        """Another one runs the job. When the first goes on, it learns that, and stops the job."""
        self.push(":::", "a")
        first = self.start_work("--lease", LEASE, "echo $$ >first; exec sleep 1000; : {}")
        job = self.wait_for_pid("first")
        first.send(signal.SIGSTOP)
        out = self.work("--lease", LEASE, "echo $WEIR_ATTEMPT; : {}").out
        self.assertEqual(out, b"2\n")
        self.assertTrue(alive(job))
        first.send(signal.SIGCONT)
        self.wait_gone(job)
        first.read_until(b"lease", "err")
        first.send(signal.SIGTERM)
        self.assertEqual(first.end().status, 0)
        stats = self.stats()
        self.assertEqual((stats["done"], stats["failed"], stats["dead"]), (1, 0, 0), stats)

    def test_a_late_result_changes_nothing(self):
        """The job of the suspended worker ends well, while another one has it."""
        gate = self.gate()
        other = self.gate("other")
        self.push(":::", "a")
        first = self.start_work("--lease", LEASE, "touch started; read _ <gate; : {}")
        self.wait_for("started")
        first.send(signal.SIGSTOP)
        second = self.start_work("--lease", LEASE, "touch again; read _ <other; : {}")
        self.wait_for("again")
        gate.open()
        first.send(signal.SIGTERM)
        first.send(signal.SIGCONT)
        self.assertEqual(first.end().status, 0)  # it has told the server what became of its job
        stats = self.stats()
        self.assertEqual((stats["done"], stats["running"]), (0, 1), stats)
        other.open()
        self.wait_for_stats(done=1, running=0)
        second.send(signal.SIGTERM)
        self.assertEqual(second.end().status, 0)
        self.assertEqual(self.stats()["done"], 1)

    def test_a_job_is_poisonous(self):
        """It takes its workers with it: three of them, whatever its attempts."""
        self.push("--retries", "100", ":::", "a")
        for i in range(3):
            self.killed(started=f"started-{i}")
        self.work("--lease", LEASE, "touch fourth; : {}")
        self.assertFalse((self.cwd / "fourth").exists())
        (dead,) = self.dead()
        self.assertEqual((dead["why"], dead["record"]), ("poison", "a"))

    def test_a_job_takes_longer_than_its_lease(self):
        """It is renewed, and runs once; also with others that would take it."""
        self.push(":::", "a")
        command = "echo run >>runs; sleep 5; : {}"  # more than three leases
        first = self.start_work("--lease", LEASE, command)
        self.wait_for("runs")
        self.assertEqual(self.work("--lease", LEASE, command).out, b"")
        first.send(signal.SIGTERM)
        self.assertEqual(first.end().status, 0)
        self.assertEqual(self.read("runs"), b"run\n")
        self.assertEqual(self.stats()["taken_over"], 0)

    def test_a_job_fails_again_and_again(self):
        self.push("--retries", "3", "--backoff", "1ms", ":::", "a")
        self.work("echo attempt $WEIR_ATTEMPT >&2; exit 9", status=3)
        (dead,) = self.dead()
        self.assertEqual((dead["attempts"], dead["status"]), (3, 9))
        self.assertEqual(dead["errors"], "attempt 3\n")


EACH = {"push": (":::", "a"), "work": ("true",), "jobs": ()}


class Servers(QueueCase):
    """Jobs whose server is killed, or cannot be used."""

    def each(self, url):
        """The results of all three subcommands, which try for some seconds at the same time."""
        runs = [(name, self.start(url, *EACH[name], program=(WEIR, name))) for name in EACH]
        return [(name, run.end()) for name, run in runs]

    def test_the_server_is_restarted(self):
        server = self.own_server(appendonly="yes", appendfsync="always")
        url = self.url_of(server)
        self.gate()
        self.push(*(":::", *map(str, range(50))), url=url, added=50)
        run = self.start_work("-j2", "--lease", "60s", "echo {} >>done; touch started; "
                              "[ -e free ] || read _ <gate", url=url)  # fmt: skip
        self.wait_for("started")
        server.kill()
        run.read_until(b"weir: ", "err")
        self.gates[-1].open()
        server.start()
        self.write("free", "")
        self.wait_for_stats(url, done=50, queued=0, running=0, delayed=0, dead=0)
        run.send(signal.SIGTERM)
        self.assertEqual(run.end().status, 0)
        self.assertEqual(sorted(map(int, set(self.read("done").split()))), list(range(50)))

    def test_there_is_no_server(self):
        url = f"redis://user:{SECRET}@127.0.0.1:{redis_server.free_port()}/q"
        for subcommand, result in self.each(url):
            self.assertEqual(result.status, 125, result)
            said = result.err.decode()
            self.assertNotIn(SECRET, said)
            self.assertEqual(said.count("\n"), 1, said)
            self.assertIn("127.0.0.1", said)
            if subcommand == "push":
                self.assertEqual(result.out, b"0 added, 0 known, 1 left out\n")

    def test_addresses_that_are_none(self):
        for url in (
            "reddis://host/q", "redis:/host/q", "redis://", "redis:///q", "redis://host",
            "redis://host/", "redis://host:0/q", "redis://host:99999/q", "redis://host:x/q",
            "redis://host/q?db=x", "redis://host/q?bd=1", "amqp://host/q", "redis+unix://q",
            "redis+unix:///sock", f"redis:/me:{SECRET}@host/q", f"reddis://:{SECRET}@host/q",
            "redis://host/a{b}c", "redis://host/%zz", "nonsense",
        ):  # fmt: skip
            for subcommand, words in EACH.items():
                with self.subTest(url=url, subcommand=subcommand):
                    result = self.complains(subcommand, url, *words)
                    self.assertNotIn(SECRET, result.err.decode())

    def test_a_key_of_another_kind(self):
        self.server("SET", f"weir:{{{self.queue}}}:jobs", "mine")
        for subcommand, words in (("push", [":::", "a"]), ("work", ["true"])):
            self.complains(subcommand, self.url, *words)
        self.assertEqual(self.server("GET", f"weir:{{{self.queue}}}:jobs"), "mine")

    def test_a_server_that_takes_no_writes(self):
        other = self.own_server(repl_diskless_sync_delay=0)
        replica = self.own_server(replicaof=f"127.0.0.1 {other.port}")
        self.wait_until(
            lambda: "master_link_status:up" in replica("INFO", "replication"), "the link"
        )
        for subcommand, result in self.each(self.url_of(replica)):
            if subcommand != "jobs":
                self.assertEqual(result.status, 125, result)
                self.assertEqual(result.err.count(b"\n"), 1, result)

    def test_a_server_that_is_full(self):
        server = self.own_server(maxmemory="3mb", maxmemory_policy="noeviction")
        url = self.url_of(server)
        self.write("records", "".join("x" * 10000 + f"{i}\n" for i in range(1000)))
        result = self.run_it("-a", "records", url, program=(WEIR, "push"))
        self.assertEqual(result.status, 125, result)
        self.assertEqual(result.err.count(b"\n"), 1, result)
        added, known, left_out = map(int, (word for word in result.out.split() if word.isdigit()))
        self.assertEqual((added + left_out, known), (1000, 0), result)
        self.assertGreater(left_out, 0)
        self.assertEqual(server("CONFIG", "SET", "maxmemory", "0"), "OK")
        self.assertEqual(self.stats(url=url)["queued"], added)


class Passwords(QueueCase):
    SETTINGS = {"requirepass": SECRET}

    def test_a_wrong_one(self):
        for user in ("", "wrong:wrong@", ":wrong@"):
            for subcommand, words in EACH.items():
                result = self.complains(subcommand, self.url_of(self.server, user), *words)
                self.assertNotIn("wrong", result.err.decode().replace("wrong user", ""))

    def test_from_everywhere(self):
        env = {"WEIR_QUEUE_PASSWORD": SECRET}
        file = self.write("password", SECRET + "\nmore\n")
        self.push(":::", "a", added=1, env=env)
        self.push(":::", "a", added=1, url=self.url_of(self.server, f":{SECRET}@"))
        self.push(":::", "a", added=1, url=f"{self.url}?password-file={file}")
        self.assertEqual(self.work("echo", env=env).out, b"a\na\na\n")
        self.complains("push", f"{self.url}?password-file=missing", ":::", "a", words=["missing"])

    def test_nobody_sees_it(self):
        url = self.url_of(self.server, f"default:{SECRET}@")
        self.push(":::", "a", url=url)
        options = ("-v", "--log", "log", "--joblog", "joblog", "--trace", "trace", "--lease", "1s")
        run = self.start_work(*options, "echo $$ >pid; exec sleep 1000", url=url)
        job = self.wait_for_pid("pid")
        words = Path(f"/proc/{run.pid}/cmdline").read_bytes()
        self.assertIn(b"127.0.0.1", words)
        self.assertNotIn(SECRET.encode(), words)
        text = self.jobs(url=url)
        run.send(signal.SIGTERM)
        run.send(signal.SIGTERM)
        result = run.end()
        for seen in (text.out, text.err, result.out, result.err, *map(self.read, options[2:7:2])):
            self.assertNotIn(SECRET.encode(), seen)
        self.wait_gone(job)


if __name__ == "__main__":
    main()
