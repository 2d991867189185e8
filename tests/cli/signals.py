#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a signal to weir does: a first one, a second one, a third one; and what is never left."""

import os
import signal
import subprocess

from support import WEIR, Case, alive, main, processes, state_of

STATUS = {signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGTERM: 143}


def answered(run, lines):
    """Whether it has said something after each of so many signals."""
    run.read_some(0.01)
    return run.text["err"].count(b"\n") >= lines


class Ladder(Case):
    def test_the_first_lets_what_runs_finish(self):
        for number, status in STATUS.items():
            gate = self.gate(f"gate{status}")
            self.script("job", f": >in{status}.$1; read _ <gate{status}; echo $1\n")
            run = self.start("-j1", "--joblog", f"log{status}", "./job", ":::", "1", "2", "3")
            self.wait_for(f"in{status}.1")
            run.send(number)
            run.read_until(b"\n", "err")  # it says what it will do
            gate.open()
            result = run.end()
            self.assertEqual(result.status, status, result)
            self.assertEqual(result.out, b"1\n")
            self.summary(result, ok=1, not_run=2)
            self.assertEqual([row["Seq"] for row in self.rows(f"log{status}")], ["1"])

    def test_it_is_no_failure_when_all_had_started(self):
        gate = self.gate()
        self.script("job", ": >in.$1; read _ <gate; echo $1\n")
        run = self.start("-j1", "./job", ":::", "1")
        self.wait_for("in.1")
        run.send(signal.SIGINT)
        run.read_until(b"\n", "err")
        gate.open()
        result = run.end()
        self.assertIn(result.status, (0, 130), result)
        self.assertEqual(result.out, b"1\n")

    def test_the_second_sends_term_to_every_job(self):
        self.script(
            "job",
            "trap 'echo $1 told; exit 0' TERM; : >in.$1; while :; do sleep 0.01; done\n",
        )
        run = self.start("-j2", "-k", "--joblog", "log", "./job", ":::", "1", "2", "3")
        self.wait_for("in.1", "in.2")
        run.send(signal.SIGTERM)
        run.read_until(b"\n", "err")
        run.send(signal.SIGTERM)
        result = run.end()
        self.assertEqual(result.status, 143, result)
        self.assertIn(b"1 told\n", result.out)
        self.assertFalse((self.cwd / "in.3").exists())

    def test_the_third_kills(self):
        self.script(
            "job", "trap '' TERM; : >in.$1; echo $$ >pid.$1; while :; do sleep 0.01; done\n"
        )
        run = self.start("-j2", "./job", ":::", "1", "2", "3")
        self.wait_for("in.1", "in.2")
        pids = [self.wait_for_pid(f"pid.{n}") for n in "12"]
        lines = 0
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGINT):
            run.send(number)
            lines += 1
            if lines < 3:
                self.wait_until(lambda: answered(run, lines), f"the answer to signal {lines}")
        result = run.end()
        self.assertEqual(result.status, 130, result)
        for pid in pids:
            self.assertFalse(alive(pid))

    def test_signals_of_different_kinds_count_together(self):
        self.script("job", "trap '' TERM; : >in.$1; while :; do sleep 0.01; done\n")
        run = self.start("-j1", "./job", ":::", "1", "2")
        self.wait_for("in.1")
        for lines, number in enumerate((signal.SIGHUP, signal.SIGINT, signal.SIGTERM), 1):
            run.send(number)
            if lines < 3:
                self.wait_until(lambda: answered(run, lines), f"the answer to signal {lines}")
        self.assertIn(run.end().status, STATUS.values())

    def test_grace_goes_on_by_itself(self):
        self.script("job", "trap '' TERM; : >in.$1; while :; do sleep 0.01; done\n")
        run = self.start("-j2", "--grace", "100ms", "./job", ":::", "1", "2", "3")
        self.wait_for("in.1", "in.2")
        run.send(signal.SIGINT)
        self.assertEqual(run.end().status, 130)

    def test_grace_gives_jobs_their_time(self):
        gate = self.gate()
        self.script("job", ": >in.$1; read _ <gate; echo finished\n")
        run = self.start("-j1", "--grace", "1h", "./job", ":::", "1", "2")
        self.wait_for("in.1")
        run.send(signal.SIGINT)
        run.read_until(b"\n", "err")
        gate.open()
        self.assertEqual(run.end().out, b"finished\n")

    def test_while_it_waits_for_input(self):
        for number, status in STATUS.items():
            run = self.start("echo", stdin=subprocess.PIPE)
            run.process.stdin.write(b"a\n")
            run.read_until(b"a\n")
            run.send(number)
            result = run.end()
            self.assertEqual(result.status, status, result)

    def test_while_a_retry_pauses(self):
        self.script("job", ": >ran; exit 1\n")
        run = self.start("--retries", "3", "--backoff", "1h", "./job", ":::", "a")
        self.wait_for("ran")
        run.send(signal.SIGTERM)
        self.assertEqual(run.end().status, 143)

    def test_while_it_delays_starts(self):
        run = self.start("--delay", "1h", "echo", ":::", "a", "b")
        run.read_until(b"a\n")
        run.send(signal.SIGTERM)
        result = run.end()
        self.assertEqual(result.status, 143)
        self.summary(result, ok=1, not_run=1)

    def test_jobs_that_wait_do_not_hear_a_terminals_interrupt(self):
        """^C goes to the foreground group, of which jobs are no part."""
        gate = self.gate()
        self.script("job", ": >in.$1; read _ <gate; echo finished\n")
        run = self.start(
            "-j1",
            "./job",
            ":::",
            "1",
            program=("setsid", "-w", "sh", "-c", 'exec "$0" run "$@"', WEIR),
        )
        self.wait_for("in.1")
        os.kill(-self.group_of_weir(), signal.SIGINT)
        run.read_until(b"\n", "err")
        gate.open()
        self.assertEqual(run.end().out, b"finished\n")

    def group_of_weir(self):
        for pid, line in processes(self.mark):
            words = line.split(b"\0")
            if words[1:2] == [b"run"] and words[0].endswith(b"weir"):
                return os.getpgid(pid)
        raise AssertionError("weir is not there")

    def test_an_ignored_signal_stays_ignored(self):
        """nohup weir run ...: a hang-up does not stop it."""
        gate = self.gate()
        self.script("job", ": >in.$1; [ $1 = 2 ] || read _ <gate; echo $1\n")
        run = self.start(
            *("-c", "trap '' HUP; exec \"$0\" run \"$@\"", WEIR),
            *("-j1", "-k", "./job", ":::", "1", "2"),
            program=("sh",),
        )
        self.wait_for("in.1")
        run.send(signal.SIGHUP)
        gate.open()
        result = run.end()
        self.assertEqual((result.status, result.out), (0, b"1\n2\n"), result)


class Grandchildren(Case):
    def stop(self, *signals, options=("-j1",)):
        run = self.start(*options, "./job", ":::", "1", "2")
        self.wait_for("ready")
        for lines, number in enumerate(signals, 1):
            run.send(number)
            if lines < len(signals):
                self.wait_until(lambda: answered(run, lines), f"the answer to signal {lines}")
        return run.end()

    def test_one_that_ignores_term(self):
        self.script(
            "job",
            "(trap '' TERM; echo $$; while :; do sleep 0.01; "
            "done) >/dev/null & echo $! >child; : >ready; wait\n",
        )
        self.stop(signal.SIGINT, signal.SIGINT, signal.SIGINT)
        self.wait_gone(int(self.read("child")))

    def test_one_that_ignores_term_whose_job_is_gone_after_the_second(self):
        self.script(
            "job",
            "(trap '' TERM; while :; do sleep 0.01; done) >/dev/null 2>&1 & echo $! >child; "
            ": >ready; wait\n",
        )
        self.stop(signal.SIGINT, signal.SIGINT, options=("-j1", "--kill-after", "200ms"))
        self.wait_gone(int(self.read("child")))

    def test_one_in_a_session_of_its_own(self):
        self.script("job", "setsid sh -c 'echo $$ >child; : >ready; exec sleep 3600' & wait\n")
        self.stop(signal.SIGINT, signal.SIGINT, signal.SIGINT)
        self.wait_gone(int(self.read("child")))

    def test_one_that_makes_children_as_fast_as_it_can(self):
        self.script(
            "job", "trap '' TERM; : >ready; while :; do (sleep 3600 &); sleep 0.005; done\n"
        )
        self.stop(signal.SIGINT, signal.SIGINT, signal.SIGINT)
        # tearDown finds what is left


class StatusLine(Case):
    def test_usr1(self):
        gate = self.gate()
        self.script("job", ": >in.$1; [ $1 != 3 ] || read _ <gate\n")
        run = self.start("-j1", "./job", ":::", *"1234")
        self.wait_for("in.3")
        run.send(signal.SIGUSR1)
        run.read_until(b"\n", "err")
        line = run.text["err"]
        self.assertIn(b"2", line)
        self.assertIn(b"4", line)
        gate.open()
        result = run.end()
        self.assertEqual(result.status, 0)

    def test_usr1_while_it_waits_for_input(self):
        run = self.start("echo", stdin=subprocess.PIPE)
        run.process.stdin.write(b"a\n")
        run.read_until(b"a\n")
        run.send(signal.SIGUSR1)
        run.read_until(b"\n", "err")
        run.process.stdin.close()
        self.assertEqual(run.end().status, 0)


class Suspend(Case):
    def test_jobs_stop_and_go_on(self):
        gate = self.gate()
        self.script("job", "echo $$ >pid; read _ <gate; echo finished\n")
        run = self.start("-j1", "./job", ":::", "1")
        pid = self.wait_for_pid("pid")
        run.send(signal.SIGTSTP)
        self.wait_until(lambda: state_of(pid) == "T", "the job's stop")
        self.wait_until(lambda: state_of(run.pid) == "T", "weir's stop")
        run.send(signal.SIGCONT)
        self.wait_until(lambda: state_of(pid) in "SR", "the job's going on")
        gate.open()
        result = run.end()
        self.assertEqual((result.status, result.out), (0, b"finished\n"))

    def test_again_and_again(self):
        gate = self.gate()
        self.script("job", "echo $$ >pid; read _ <gate; echo finished\n")
        run = self.start("-j1", "./job", ":::", "1")
        pid = self.wait_for_pid("pid")
        for _ in range(3):
            run.send(signal.SIGTSTP)
            self.wait_until(lambda: state_of(pid) == "T" and state_of(run.pid) == "T", "the stop")
            run.send(signal.SIGCONT)
            self.wait_until(lambda: state_of(pid) in "SR" and state_of(run.pid) in "SR", "going on")
        gate.open()
        self.assertEqual(run.end().out, b"finished\n")

    def test_an_interrupt_after_it(self):
        gate = self.gate()
        self.script("job", "echo $$ >pid; read _ <gate; echo finished\n")
        run = self.start("-j1", "./job", ":::", "1", "2")
        pid = self.wait_for_pid("pid")
        run.send(signal.SIGTSTP)
        self.wait_until(lambda: state_of(run.pid) == "T", "weir's stop")
        run.send(signal.SIGINT)
        run.send(signal.SIGCONT)
        self.wait_until(lambda: state_of(pid) in "SR", "the job's going on")
        run.read_until(b"\n", "err")
        gate.open()
        result = run.end()
        self.assertEqual((result.status, result.out), (130, b"finished\n"))


class KilledItself(Case):
    def test_a_killed_weir_leaves_no_temporary_file(self):
        self.script("job", "echo $$ >pid; head -c 1000000 /dev/zero; : >written; exec sleep 3600\n")
        run = self.start("-j1", "./job", ":::", "1")
        self.wait_for("written")
        run.send(signal.SIGKILL)
        run.end()
        os.kill(-int(self.read("pid")), signal.SIGKILL)


if __name__ == "__main__":
    main()
