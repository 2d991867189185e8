#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""weir work: commands of jobs, what is printed and logged, failures, signals; what it refuses."""

import json
import os
import signal
import unittest

from queue_push import has_json
from servers import QueueCase
from support import WEIR, main, processes


class Commands(QueueCase):
    def like_run(self, options, records, *command):
        """What the jobs of these records print is what weir run prints for them."""
        self.push(*options, input=records)
        ours = self.work("-j1", *options, *()).out if not command else self.works(options, command)
        theirs = self.weir("-j1", *options, *command, input=records).out
        self.assertEqual(ours, theirs)
        self.assertNotEqual(theirs, b"")

    def works(self, options, command):
        words = ("--drain", "-q", "-j1", *options, self.url, *command)
        return self.weir(*words, program=(WEIR, "work")).out

    def test_as_in_run(self):
        files = "dir/a b.tar.gz\n/x/y.c\nplain\n$(reboot).log\nit's\n"
        for command in (
            ("echo",),
            ("echo", "<{}>", "{.}", "{/}", "{//}", "{/.}", "{#}", "{%}"),
            ("echo {} '{.}' \"{/}\"; echo {#}",),
        ):
            with self.subTest(command=command):
                self.like_run((), files, *command)

    def test_columns_as_in_run(self):
        table = "Ada,London\nAlan,Wilmslow,more\nalone\n,\n"
        self.like_run(("--colsep", ","), table, "echo", "{2}-{1}", "{}", "{1.}")
        self.like_run(("--colsep", ","), table, "echo")

    def test_headers_as_in_run(self):
        table = "name,file.path,c\nAda,/x/y.tar.gz,1\nAlan,z\n"
        names = ("--header", "--colsep", ",")
        self.like_run(names, table, "echo", "{name}", "{3}", "{file.path}", "{}")
        self.like_run(names, table, "echo {name} '{name.}' {file.path/} {file.path//}")
        self.like_run(("--header",), "path\na/b.c\n", "echo", "{path} {path/.} {path/} {nobody")
        self.like_run(("--header", "-d", ";", "--colsep", ","), "a,b;1,2;3,4", "echo", "{b} {a}")

    @unittest.skipUnless(has_json(), "this build has no JSON")
    def test_members_as_in_run(self):
        objects = '{"id":1,"name":"a b","list":[1,2]}\n{"id":"x","name":"it\'s","list":{}}\n'
        self.like_run(("--json",), objects, "echo {id} '{name}' \"{list}\"")
        self.like_run(("--json",), objects, "echo", "{id}", "{name}")

    def test_headers_of_several_tables_in_one_queue(self):
        names = ("--header", "--colsep", ",")
        self.push(*names, input="a,b\n1,2\n")
        self.push(*names, input="b,c,a\n3,4,5\n")
        self.assertEqual(self.works(names, ("echo", "{a} {b}")), b"1 2\n5 3\n")

    def test_the_record_as_input(self):
        self.push("-0", input=b"a\nb\0\0c")
        self.assertEqual(self.work("-j1", "--pipe", "cat; echo '|'").out, b"a\nb|\n|\nc|\n")

    def test_what_a_job_sees(self):
        self.push(":::", "a")
        seen = ': {}; echo "$WEIR_ID $WEIR_ATTEMPT $WEIR_SEQ $WEIR_SLOT"'
        out = self.work("-j1", seen).out.split()
        self.assertEqual(len(out), 4)
        self.assertEqual(out[1:], [b"1", b"1", b"1"])

    def test_an_id_is_the_same_at_each_attempt(self):
        self.push("--backoff", "1ms", ":::", "a", "b")
        self.work("-j1", "echo {} $WEIR_ID >>ids; [ $WEIR_ATTEMPT = 3 ]", status=4)
        lines = self.read("ids").split(b"\n")[:-1]
        self.assertEqual((len(lines), len(set(lines))), (6, 2))

    def test_the_url_of_the_environment(self):
        env = {"WEIR_QUEUE_URL": self.url}
        self.push(":::", "a")
        for command in (
            ("echo", "{}-"),
            ("--", "echo", "{}-"),
            ("echo {}-",),
            ("echo {}- # me:word@host redis://host/q",),
            (self.url, "--", "echo", "{}-"),
        ):
            result = self.run_it("--drain", *command, program=(WEIR, "work"), env=env)
            self.assertEqual((result.status, result.out), (0, b"a-\n"), result)
            self.push(":::", "a")

    def test_jobs_can_push(self):
        """What a job adds is done, too, before --drain is over."""
        self.push(":::", "3")
        command = f'i={{}}; [ $i = 0 ] || {WEIR} push -q {self.url} ::: $((i - 1)); echo $i'
        self.assertEqual(sorted(self.work(command).out.split()), [b"0", b"1", b"2", b"3"])


class Output(QueueCase):
    def test_grouped_and_tagged(self):
        self.push(":::", "a", "b")
        out = self.work("--tag", "echo {}1; echo {}2").out
        self.assertIn(out, (b"a\ta1\na\ta2\nb\tb1\nb\tb2\n", b"b\tb1\nb\tb2\na\ta1\na\ta2\n"))

    def test_logs(self):
        self.push("--retries", "2", "--backoff", "1ms", ":::", "a", "b")
        self.work("-j1", "--joblog", "log", "--log", "nd", "--results", "r",
                  "[ {} = a ] && echo {}", status=2)  # fmt: skip
        rows = self.rows()
        self.assertEqual(sorted(row["Exitval"] for row in rows), ["0", "1", "1"])
        attempts = [json.loads(line) for line in self.read("nd").splitlines()]
        self.assertEqual(len(attempts), 3)
        self.assertEqual(len({attempt["id"] for attempt in attempts}), 2)
        self.assertEqual(self.read("r/1/stdout"), b"a\n")

    def test_metrics_and_progress(self):
        self.push(":::", "a", "b")
        self.work("--metrics", "m", "--progress", "p", "--trace", "t", "true")
        self.assertIn(b'"ok"} 2\n', self.read("m"))
        self.assertEqual(json.loads(self.read("p").splitlines()[-1])["ok"], 2)
        self.assertTrue(json.loads(self.read("t")))

    def test_output_that_cannot_be_written_loses_no_job(self):
        self.push(":::", "a", "b")
        with open("/dev/full", "wb") as full:
            result = self.run_it("-j1", self.url, "echo", program=(WEIR, "work"), stdout=full)
        self.assertEqual(result.status, 125, result)
        stats = self.stats()
        self.assertEqual((stats["done"], stats["queued"], stats["failed"]), (0, 2, 0), stats)

    def test_what_a_running_worker_says(self):
        gate = self.gate()
        self.push(":::", "a")
        run = self.start_work("touch started; read _ <gate; : {}")
        self.wait_for("started")
        run.send(signal.SIGUSR1)
        run.read_until(b"\n", "err")
        gate.open()
        self.wait_for_stats(done=1)
        run.send(signal.SIGTERM)
        self.assertEqual(run.end().status, 0)


class Failures(QueueCase):
    def test_what_the_dead_list_says(self):
        self.push("--retries", "1", ":::", "one")
        self.work("echo out; echo first >&2; echo last >&2; exit 7", status=1)
        (dead,) = self.dead()
        self.assertEqual((dead["status"], dead["attempts"], dead["why"]), (7, 1, "failed"))
        self.assertEqual((dead["record"], dead["errors"]), ("one", "first\nlast\n"))

    def test_the_end_of_long_errors(self):
        for options in ((), ("--line-buffer",)):
            self.push("--retries", "1", ":::", "one")
            self.work(*options, "seq 100000 >&2; : {}; exit 1", status=1)
            errors = self.dead()[0]["errors"]
            self.assertTrue(errors.endswith("99999\n100000\n"), errors[-100:])
            self.assertLess(len(errors), 4097)

    def test_signals_and_what_cannot_start(self):
        self.push("--retries", "1", ":::", "a")
        self.work("kill -9 $$; : {}", status=1)
        self.push("--retries", "1", ":::", "a")
        self.work("./missing", status=1)
        self.push("--retries", "1", ":::", "a")
        self.work("--timeout", "10ms", "sleep", "1000", "{#}", status=1)
        dead = self.dead()
        self.assertEqual([job["status"] for job in dead], [124, 127, 137])
        for job, word in zip(dead, ("time-out", "started", "signal 9")):
            self.assertIn(word, job["errors"])

    def test_what_is_not_to_be_tried_again(self):
        self.push("--backoff", "1ms", ":::", "3", "4")
        self.work("-j1", "--retry-on", "3", "echo {} >>tries; exit {}", status=6)
        tries = self.read("tries").split()
        self.assertEqual((tries.count(b"3"), tries.count(b"4")), (5, 1))

    def test_the_worker_has_the_last_word(self):
        self.push("--retries", "9", "--backoff", "1h", ":::", "a")
        self.work("--retries", "2", "--backoff", "1ms", "echo >>tries; exit 1", status=2)
        self.assertEqual(self.read("tries"), b"\n\n")

    def test_records_that_make_no_command_are_dead_at_once(self):
        self.push("-0", input=b"a\0")
        self.push("-d", ",", input=b"x\0y")
        self.push(input=b"l" * (200 * 1024) + b"\n")
        result = self.work("echo", status=2)
        self.assertEqual(result.out, b"a\n")
        said = result.err.decode()
        self.assertIn("NUL", said)
        self.assertIn("too long", said)
        self.assertEqual([job["attempts"] for job in self.dead()], [1, 1])

    def test_a_record_without_its_header(self):
        self.push(":::", "a,b")
        result = self.work("--header", "--colsep", ",", "echo {x}", status=1)
        self.assertIn("without a header", result.err.decode())
        self.push("--header", "--colsep", ",", input="a,b\n1,2\n")
        result = self.work("--header", "--colsep", ",", "echo {x}", status=1)
        self.assertIn("no column x", result.err.decode())

    def test_a_halt(self):
        self.push("--retries", "1", ":::", *"abcdefgh")
        words = ("-j1", "--halt", "soon,fail=2", self.url, "false")
        result = self.run_it(*words, program=(WEIR, "work"))
        self.assertEqual(result.status, 2, result)
        stats = self.stats()
        self.assertEqual((stats["dead"], stats["queued"]), (2, 6), stats)


class Signals(QueueCase):
    def begin(self, *options):
        """A worker with one slot that runs a job, while another is at hand and a third waits."""
        self.gate()
        self.push(":::", "a", "b", "c")
        run = self.start_work("-j1", *options, "echo $WEIR_ATTEMPT >>tries; echo $$ >pid; "
                              "read _ <gate; echo {}")  # fmt: skip
        self.wait_for_pid("pid")
        return run

    def test_the_first_gives_back_what_has_not_started(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number):
                run = self.begin()
                run.send(number)
                self.wait_for_stats(queued=2, running=1)
                self.gates[-1].open()
                result = run.end()
                self.assertEqual((result.status, result.out), (0, b"a\n"), result)
                self.assertEqual(self.work("echo $WEIR_ATTEMPT; : {}").out, b"1\n1\n")
                self.gates.pop().close()
                (self.cwd / "gate").unlink()
                (self.cwd / "pid").unlink()

    def test_the_second_stops_what_runs(self):
        run = self.begin()
        run.send(signal.SIGTERM)
        run.read_until(b"no more jobs", "err")
        run.send(signal.SIGTERM)
        result = run.end()
        self.assertEqual(result.status, 143, result)
        self.summary_of(result, given_back=1)
        self.wait_for_stats(queued=3, running=0, failed=0)
        self.assertEqual(self.work("echo $WEIR_ATTEMPT; : {}").out, b"1\n1\n1\n")

    def summary_of(self, result, ok=0, failed=0, timed_out=0, given_back=0):
        wanted = f"weir: {ok} ok, {failed} failed, {timed_out} timed out, {given_back} given back"
        self.assertEqual(self.last_line(result), wanted, result)

    def test_the_third_kills(self):
        self.push(":::", "a")
        run = self.start_work("trap '' TERM; echo $$ >pid; while :; do sleep 0.1; done; : {}")
        pid = self.wait_for_pid("pid")
        for said in (b"no more jobs", b"SIGTERM was sent", b"SIGKILL was sent"):
            run.send(signal.SIGINT)
            run.read_until(said, "err")
        self.assertEqual(run.end().status, 130)
        self.wait_gone(pid)
        self.wait_for_stats(queued=1, failed=0)

    def test_a_drain_that_is_interrupted_says_so(self):
        run = self.begin("--drain")
        run.send(signal.SIGINT)
        self.wait_for_stats(queued=2)
        self.gates[-1].open()
        self.assertEqual(run.end().status, 130)

    def test_a_deadline(self):
        self.gate()
        self.push(":::", "a")
        words = ("--deadline", "300ms", self.url, "read _ <gate; : {}")
        result = self.run_it(*words, program=(WEIR, "work"))
        self.assertEqual(result.status, 124, result)
        self.wait_for_stats(queued=1, failed=0, running=0)

    def test_as_the_first_process_of_a_container(self):
        """It takes signals there, too, and reaps what comes to it."""
        inside = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child")
        if self.run_it("true", program=inside).status != 0:
            self.skipTest("no process namespace can be made here")
        self.push(":::", "a")
        program = (*inside, WEIR, "work")
        run = self.start("--grace", "200ms", self.url, "sh -c 'sleep 1000 & sleep 1000 & "
                         "touch started; sleep 1000'; : {}", program=program)  # fmt: skip
        self.wait_for("started")
        (first,) = (pid for pid, words in processes(self.mark) if words.startswith(WEIR.encode()))
        os.kill(first, signal.SIGTERM)
        self.assertEqual(run.end().status, 143)
        self.wait_for_stats(queued=1, running=0, failed=0)

    def test_an_idle_worker_ends_at_once(self):
        run = self.start_work("-v", "true")
        self.wait_for_stats(workers=1)
        run.send(signal.SIGTERM)
        self.assertEqual(run.end().status, 0)
        self.assertEqual(self.stats()["workers"], 0)


class WrongUse(QueueCase):
    def test_words(self):
        self.complains("work", words=["URL"])
        self.complains("work", self.url, words=["command"])
        self.complains("work", self.url, "", words=["empty"])
        self.complains("work", self.url, "echo", ":::", "a", words=[":::", "weir push"])
        self.complains("work", self.url, "echo 'a", words=["quote"])

    def test_options(self):
        self.write("slots", "2\n")
        for options, words in (
            (("-j", "slots"), ["slots"]),
            (("-j", "x"), ["x"]),
            (("--halt", "now,fail=5%"), ["--halt"]),
            (("--lease", "0"), ["--lease"]),
            (("--lease", "1ms"), ["lease"]),
            (("--laese", "1s"), ["--laese", "--lease"]),
            (("-k",), ["-k", "weir run"]),
            (("--resume",), ["--resume", "weir run"]),
            (("--dry-run",), ["--dry-run", "weir run"]),
            (("--key", "x"), ["--key", "weir push"]),
            (("-0",), ["--header"]),
            (("--pipe", "--json"), ["--pipe", "--json"]),
            (("--pipe", "--header"), ["--pipe", "--header"]),
            (("-v", "-q"), ["-v", "-q"]),
            (("--joblog", "missing/log"), ["missing/log"]),
        ):
            with self.subTest(options=options):
                self.complains("work", *options, self.url, "touch", "started", words=words)
        self.complains("work", "--pipe", self.url, "echo {}", words=["--pipe"])
        self.assertFalse((self.cwd / "started").exists())


if __name__ == "__main__":
    main()
