#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Jobs that fail, and what becomes of the others."""

import os
import signal
import subprocess

from support import Case, alive, main


class ExitStatus(Case):
    def test_success(self):
        result = self.weir("true", ":::", "a", "b")
        self.assertEqual(result.err, b"")

    def test_the_number_of_failed_jobs(self):
        result = self.weir("exit {}", ":::", *"0120", status=2)
        self.summary(result, ok=2, failed=2)

    def test_a_hundred_and_more(self):
        self.summary(self.weir("false", ":::", *map(str, range(100)), status=100), failed=100)
        self.summary(self.weir("false", ":::", *map(str, range(102)), status=101), failed=102)

    def test_a_failed_job_does_not_stop_the_others(self):
        result = self.weir("-j1", "echo {}; exit {}", ":::", *"101", status=2)
        self.assertEqual(result.out, b"1\n0\n1\n")

    def test_an_exit_status_of_weirs_own_kind_is_a_failure_like_others(self):
        for code in ("124", "125", "126", "127", "129", "255"):
            self.summary(self.weir("exit {}", ":::", code, status=1), failed=1)

    def test_a_signal_is_a_failure(self):
        for name in ("KILL", "SEGV", "TERM", "INT", "PIPE"):
            result = self.weir("kill -{} $$; sleep 9", ":::", name, status=1)
            self.summary(result, failed=1)

    def test_a_command_that_does_not_exist(self):
        result = self.weir("--joblog", "log", "./no-such-program", ":::", "a", "b", status=2)
        self.assertIn(b"no-such-program", result.err)
        self.assertEqual([row["Exitval"] for row in self.rows()], ["127", "127"])
        self.summary(result, failed=2)
        result = self.weir("no-such-program-anywhere", ":::", "a", status=1)
        self.assertIn(b"no-such-program-anywhere", result.err)

    def test_a_command_that_cannot_be_executed(self):
        self.write("plain", "just text\n")
        result = self.weir("--joblog", "log", "./plain", ":::", "a", status=1)
        self.assertIn(b"./plain", result.err)
        self.assertEqual(self.rows()[0]["Exitval"], "126")

    def test_a_folder_cannot_be_executed(self):
        self.weir("--joblog", "log", "/", ":::", "a", status=1)
        self.assertEqual(self.rows()[0]["Exitval"], "126")

    def test_an_empty_word_is_no_command(self):
        self.weir("--joblog", "log", "{}", ":::", "", "true", status=1)

    def test_the_last_status_counts_where_several_commands_are_in_a_line(self):
        self.weir("false; true {}", ":::", "a")
        self.weir("true {}; false", ":::", "a", status=1)

    def test_a_command_line_that_is_too_long_in_all(self):
        columns = "".join("x" * 100000 + "," for _ in range(30))
        words = [f"{{{n}}}" for n in range(1, 31)]
        result = self.weir("--colsep", ",", "echo", *words, input=columns + "\n", status=1)
        self.assertIn(b"too long", result.err)
        self.summary(result, failed=1)

    def test_a_script_without_a_first_line(self):
        """As a shell would: what is no binary and names no interpreter is not run by guess, or is
        run by sh; it is not reported as a success without having run."""
        path = self.write("script", "echo hello\n")
        path.chmod(0o755)
        result = self.run_it("./script", ":::", "a")
        self.assertIn((result.status, result.out), ((0, b"hello\n"), (1, b"")))

    def test_quiet_says_nothing_and_lies_not(self):
        for option in ("-q", "--quiet"):
            result = self.weir(option, "false", ":::", "a", status=1)
            self.assertEqual(result.err, b"")

    def test_the_last_line_comes_after_what_the_jobs_wrote(self):
        result = self.weir("echo err >&2; exit {}", ":::", "1", status=1)
        self.assertEqual(result.err, b"err\nweir: 0 ok, 1 failed, 0 timed out, 0 not run\n")


class Retries(Case):
    def setUp(self):
        super().setUp()
        # Fails until it has run $2 times for $1.
        self.script(
            "flaky", 'echo x >>n.$1; echo $1 >>order; [ $(wc -l <n.$1) -ge $2 ] || exit ${3:-1}\n'
        )

    def attempts(self, name="a"):
        path = self.cwd / f"n.{name}"
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def test_attempts_in_all(self):
        self.weir("--retries", "3", "./flaky", "a", "3", ":::", "1")
        self.assertEqual(self.attempts(), 3)

    def test_no_more_than_that(self):
        result = self.weir("--retries=3", "./flaky", "a", "9", ":::", "1", status=1)
        self.assertEqual(self.attempts(), 3)
        self.summary(result, failed=1)

    def test_one_attempt_without_the_option_and_with_one(self):
        self.weir("./flaky", "a", "2", ":::", "1", status=1)
        self.weir("--retries", "1", "./flaky", "b", "2", ":::", "1", status=1)
        self.assertEqual((self.attempts("a"), self.attempts("b")), (1, 1))

    def test_a_success_is_not_repeated(self):
        self.weir("--retries", "5", "./flaky", "a", "1", ":::", "1")
        self.assertEqual(self.attempts(), 1)

    def test_what_cannot_start_is_tried_again(self):
        """The first job makes the program of the second one."""
        self.script(
            "maker",
            "printf '#!/bin/sh\\necho made\\n' >made.tmp; chmod +x made.tmp; mv made.tmp made\n",
        )
        result = self.run_it(
            *("-j2", "-k", "--retries", "1000", "--backoff", "10ms..20ms", "{}", ":::", "./made"),
            "./maker",
        )
        self.assertEqual((result.status, result.out), (0, b"made\n"), result)

    def test_a_pause_holds_no_slot(self):
        """There is one slot. The first job succeeds once the second one has run."""
        self.script("job", "if [ $1 = 1 ]; then [ -e two ]; else : >two; fi\n")
        self.weir("-j1", "--retries", "1000", "--backoff", "20ms..20ms", "./job", ":::", "1", "2")

    def test_as_many_pauses_as_attempts(self):
        self.script("job", "echo x >>n; false\n")
        options = ("--retries", "10", "--backoff", "10ms..20ms")
        self.weir(*options, "./job", ":::", "a", status=1)
        self.assertEqual(self.read("n").count(b"x"), 10)

    def test_the_last_failure_waits_for_nothing(self):
        self.weir("--retries", "1", "--backoff", "1h", "false", ":::", "a", status=1)

    def test_only_what_is_on_the_list(self):
        self.weir(
            "--retries", "3", "--retry-on", "5,7", "./flaky", "a", "9", "7", ":::", "1", status=1
        )
        self.weir(
            "--retries", "3", "--retry-on=5,7", "./flaky", "b", "9", "6", ":::", "1", status=1
        )
        self.assertEqual((self.attempts("a"), self.attempts("b")), (3, 1))

    def test_signals_and_time_outs_on_the_list(self):
        self.script("dies", "echo x >>n.a; kill -9 $$\n")
        self.weir("--retries", "3", "--retry-on", "signal", "./dies", ":::", "1", status=1)
        self.assertEqual(self.attempts("a"), 3)
        self.weir(
            "--retries", "3", "--retry-on", "signal", "./flaky", "b", "9", ":::", "1", status=1
        )
        self.assertEqual(self.attempts("b"), 1)
        self.script("hangs", "echo x >>n.c; exec sleep 3600\n")
        options = ("--retries", "2", "--timeout", "50ms")
        self.weir(*options, "--retry-on", "timeout", "./hangs", ":::", "1", status=1)
        self.assertEqual(self.attempts("c"), 2)
        self.weir(*options, "--retry-on", "signal,1", "./hangs", ":::", "1", status=1)
        self.assertEqual(self.attempts("c"), 3)

    def test_output_of_the_attempt_that_counts(self):
        result = self.weir(
            "--retries", "3", 'echo {}$WEIR_ATTEMPT; [ $WEIR_ATTEMPT = 2 ]', ":::", "a"
        )
        self.assertTrue(result.out.endswith(b"a2\n"), result)

    def test_the_order_is_kept_over_retries(self):
        result = self.weir(
            *("-k", "-j2", "--retries", "3", "--backoff", "10ms"),
            *("[ {} = 2 ] || [ $WEIR_ATTEMPT = 3 ] && echo {}", ":::", "1", "2"),
        )
        self.assertEqual(result.out, b"1\n2\n")


class Halt(Case):
    """Jobs are numbers, started one after the other; `f` ones fail. Each notes that it ran."""

    def ran(self, halt, *jobs, status, options=("-j1",)):
        (self.cwd / "ran").unlink(missing_ok=True)
        self.script("job", "echo $1 >>ran; case $1 in f*) exit 1;; esac\n")
        self.result = self.weir(*options, "--halt", halt, "./job", ":::", *jobs, status=status)
        return self.read("ran").decode().split()

    def test_soon_by_failures(self):
        self.assertEqual(self.ran("soon,fail=1", "1", "f2", "3", "4", status=1), ["1", "f2"])
        self.summary(self.result, ok=1, failed=1, not_run=2)
        self.assertEqual(self.ran("soon,fail=2", "f1", "2", "f3", "4", status=2), ["f1", "2", "f3"])

    def test_soon_by_successes(self):
        self.assertEqual(self.ran("soon,success=1", "1", "2", status=0), ["1"])
        self.assertEqual(
            self.ran("soon,success=2", "1", "f2", "3", "4", status=1), ["1", "f2", "3"]
        )

    def test_soon_by_what_is_done(self):
        self.assertEqual(self.ran("soon,done=2", "1", "2", "3", status=0), ["1", "2"])
        self.assertEqual(self.ran("soon,done=2", "1", "f2", "3", status=1), ["1", "f2"])

    def test_now_by_failures(self):
        self.assertEqual(self.ran("now,fail=1", "1", "f2", "3", status=1), ["1", "f2"])

    def test_now_by_successes(self):
        self.assertEqual(self.ran("now,success=1", "f1", "2", "3", status=0), ["f1", "2"])

    def test_now_by_what_is_done(self):
        self.assertEqual(self.ran("now,done=2", "1", "2", "3", status=0), ["1", "2"])

    def test_a_share_of_what_there_is(self):
        jobs = ["f1", "2", "f3", "4", "f5", "f6", "7", "8", "9", "10"]
        ran = self.ran("soon,fail=30%", *jobs, status=3)
        self.assertEqual(ran, jobs[:5])
        jobs = [str(n) for n in range(10)]
        self.assertEqual(self.ran("soon,success=50%", *jobs, status=0), jobs[:5])
        self.assertEqual(self.ran("soon,done=50%", *jobs, status=0), jobs[:5])

    def test_a_share_that_is_exceeded_before_the_end_of_the_input_is_known(self):
        gate = self.gate()
        self.script("job", "[ $1 != wait ] || { : >in; read _ <gate; }; exit 1\n")
        run = self.start("-j1", "--halt", "soon,fail=10%", "./job", stdin=subprocess.PIPE)
        run.process.stdin.write(b"1\n2\n3\nwait\n")
        self.wait_for("in")
        run.process.stdin.write(b"5\n" * 6)
        run.process.stdin.close()

        def total_is_known():
            run.send(signal.SIGUSR1)
            run.read_some(0.1)
            return b"3 of 10 done" in run.text["err"]

        self.wait_until(total_is_known, "the end of the input")
        gate.open()
        self.summary(run.end(), failed=4, not_run=6)

    def test_what_was_not_reached_changes_nothing(self):
        self.assertEqual(self.ran("soon,fail=3", "f1", "f2", "3", status=2), ["f1", "f2", "3"])
        self.assertEqual(self.ran("now,success=9", "1", "2", status=0), ["1", "2"])

    def test_never(self):
        self.assertEqual(self.ran("never", "f1", "2", status=1), ["f1", "2"])

    def test_soon_lets_what_runs_finish(self):
        self.script(
            "job",
            "if [ $1 = long ]; then : >long; until [ -e failed ]; do sleep 0.01; done\n"
            "sleep 0.2; echo finished; exit 0; fi\n"
            "until [ -e long ]; do sleep 0.01; done; : >failed; exit 1\n",
        )
        result = self.weir(
            *("-j2", "--halt", "soon,fail=1", "./job", ":::", "long", "f", "f", "f"), status=1
        )
        self.assertEqual(result.out, b"finished\n")
        self.summary(result, ok=1, failed=1, not_run=2)

    def test_now_sends_term_to_what_runs(self):
        self.script(
            "job",
            "if [ $1 = long ]; then trap 'echo told >told; exit 0' TERM; : >long\n"
            "while :; do sleep 0.01; done; fi\n"
            "until [ -e long ]; do sleep 0.01; done; exit 1\n",
        )
        result = self.weir(
            "-j2", "--halt", "now,fail=1", "./job", ":::", "long", "f", "f", status=1
        )
        self.assertEqual(self.read("told"), b"told\n")
        self.assertIn(b"1 failed", result.err)

    def test_now_kills_what_does_not_go(self):
        self.script(
            "job",
            "if [ $1 = long ]; then trap '' TERM; echo $$ >pid; : >long\n"
            "while :; do sleep 0.01; done; fi\n"
            "until [ -e long ]; do sleep 0.01; done; exit 1\n",
        )
        self.weir(
            *("-j2", "--kill-after", "100ms", "--halt", "now,fail=1", "./job", ":::"),
            *("long", "f"),
            status=1,
        )
        self.assertFalse(alive(int(self.read("pid"))))

    def test_the_race_is_won_by_the_first_success(self):
        self.script(
            "job",
            "if [ $1 = slow ]; then : >slow; exec sleep 3600; fi\n"
            "until [ -e slow ]; do sleep 0.01; done; echo $1\n",
        )
        self.prints("fast\n", "-j2", "--halt", "now,success=1", "./job", ":::", "slow", "fast")

    def test_retries_come_before_a_failure_counts(self):
        self.script("job", "echo $1 >>ran; [ $WEIR_ATTEMPT = 2 ]\n")
        self.weir("-j1", "--retries", "2", "--halt", "soon,fail=1", "./job", ":::", "a", "b")
        self.assertEqual(sorted(self.read("ran").split()), [b"a", b"a", b"b", b"b"])


class TimeOut(Case):
    def test_a_job_that_takes_too_long_is_stopped(self):
        result = self.weir("--timeout", "100ms", "sleep", ":::", "3600", status=1)
        self.summary(result, timed_out=1)

    def test_others_are_left_alone(self):
        result = self.weir(
            "-k", "--timeout=200ms", "sleep {}; echo {}", ":::", "3600", "0", status=1
        )
        self.assertEqual(result.out, b"0\n")
        self.summary(result, ok=1, timed_out=1)

    def test_it_is_sent_term_first(self):
        self.script("job", "trap 'echo told; exit 0' TERM; while :; do sleep 0.01; done\n")
        result = self.weir("--timeout", "100ms", "./job", ":::", "a", status=1)
        self.assertEqual(result.out, b"told\n")
        self.summary(result, timed_out=1)

    def test_a_job_that_ignores_term_is_killed(self):
        self.script("job", "trap '' TERM; while :; do sleep 0.01; done\n")
        result = self.weir(
            "--timeout", "100ms", "--kill-after", "100ms", "./job", ":::", "a", status=1
        )
        self.summary(result, timed_out=1)

    def test_its_whole_group_goes(self):
        self.script("job", "sleep 3600 & echo $! >child; wait\n")
        self.weir("--timeout", "200ms", "./job", ":::", "a", status=1)
        self.wait_gone(int(self.read("child")))

    def test_a_grandchild_that_ignores_term_goes_too(self):
        """The job itself ends at TERM, at once."""
        self.script(
            "job",
            "(trap '' TERM; while :; do sleep 0.01; done) & echo $! >child; exec sleep 3600\n",
        )
        self.weir("--timeout", "200ms", "--kill-after", "200ms", "./job", ":::", "a", status=1)
        self.wait_gone(int(self.read("child")))

    def test_a_grandchild_in_a_session_of_its_own_goes_too(self):
        self.script(
            "job",
            "setsid sh -c 'trap \"\" TERM; echo $$ >child; while :; do sleep 0.01; done' &\n"
            "exec sleep 3600\n",
        )
        self.weir("--timeout", "300ms", "--kill-after", "200ms", "./job", ":::", "a", status=1)
        self.wait_gone(int(self.read("child")))

    def test_a_grandchild_whose_parents_are_gone_goes_too(self):
        """It has left its session and its parent: only a subreaper still finds it."""
        self.script(
            "job",
            "(setsid sh -c 'echo $$ >child; exec sleep 3600' &)\n"
            "until [ -s child ]; do sleep 0.01; done\n"
            "exec sleep 3600\n",
        )
        self.weir("--timeout", "300ms", "--kill-after", "200ms", "./job", ":::", "a", status=1)
        self.wait_gone(int(self.read("child")))

    def test_other_jobs_do_not_go_with_it(self):
        """They are other groups, though children of the same parent."""
        self.script(
            "job",
            "if [ $1 = bad ]; then : >bad; exec sleep 3600; fi\n"
            "sleep 3600 & echo $! >kept.$1; until [ -e bad ]; do sleep 0.01; done; sleep 1; "
            "kill $!\n"
            "wait $!; echo $1 $?\n",
        )
        result = self.weir("-k", "-j2", "--timeout", "3", "./job", ":::", "bad", "good", status=1)
        self.assertEqual(result.out, b"good 143\n")

    def test_a_share_of_the_median(self):
        """Three jobs of 50 ms, then one that would take an hour."""
        result = self.weir(
            "-j1", "--timeout", "2000%", "sleep", ":::", ".05", ".05", ".05", "3600", status=1
        )
        self.summary(result, ok=3, timed_out=1)

    def test_a_share_of_the_median_needs_three_successes(self):
        self.script("job", "case $1 in f) exit 1;; esac; sleep $1\n")
        result = self.weir(
            "-j1",
            "--timeout",
            "1000%",
            "./job",
            ":::",
            "0.001",
            "f",
            "f",
            "f",
            "0.2",
            "0.001",
            status=3,
        )
        self.summary(result, ok=3, failed=3)

    def test_a_stopped_job_times_out_too(self):
        self.script("job", "kill -STOP $$\n")
        result = self.weir(
            "--timeout", "200ms", "--kill-after", "200ms", "./job", ":::", "a", status=1
        )
        self.summary(result, timed_out=1)

    def test_each_attempt_has_its_time(self):
        self.script("job", "echo x >>n; exec sleep 3600\n")
        result = self.weir("--retries", "3", "--timeout", "50ms", "./job", ":::", "a", status=1)
        self.assertEqual(self.read("n"), b"x\nx\nx\n")
        self.summary(result, timed_out=1)


class Deadline(Case):
    def test_the_whole_run(self):
        result = self.weir("-j2", "--deadline", "300ms", "sleep", ":::", *["3600"] * 5, status=124)
        self.assertIn(b"not run", result.err)

    def test_what_ends_in_time_is_not_touched(self):
        self.weir("--deadline", "1h", "true", ":::", "a", "b")

    def test_while_it_waits_for_input(self):
        reader, writer = os.pipe()
        self.addCleanup(os.close, writer)
        run = self.start("--deadline", "200ms", "echo", stdin=reader)
        os.close(reader)
        self.assertEqual(run.end().status, 124)

    def test_while_a_retry_pauses(self):
        self.weir(
            "--retries",
            "2",
            "--backoff",
            "1h",
            "--deadline",
            "200ms",
            "false",
            ":::",
            "a",
            status=124,
        )

    def test_while_it_delays_starts(self):
        self.weir("--delay", "1h", "--deadline", "200ms", "true", ":::", "a", "b", status=124)

    def test_a_job_that_ignores_term(self):
        self.script("job", "trap '' TERM; echo $$ >pid; while :; do sleep 0.01; done\n")
        self.weir("--deadline", "300ms", "--kill-after", "200ms", "./job", ":::", "a", status=124)
        self.assertFalse(alive(int(self.read("pid"))))


if __name__ == "__main__":
    main()
