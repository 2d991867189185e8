#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What holds back the starts of jobs. Times are measured by the jobs, and only from below."""

import os
import subprocess
import unittest

from support import WEIR, Case, have, main


def may_replace_proc():
    """Whether a file may be put over one of /proc, in a name space of our own."""
    command = ["unshare", "-m", "mount", "--bind", "/dev/null", "/proc/loadavg"]
    return have("unshare") and subprocess.run(command, capture_output=True).returncode == 0


class Delay(Case):
    def times(self):
        return sorted(float(line) for line in self.read("times").split())

    def job(self):
        self.script("job", "date +%s.%N >>times\n")
        return "./job"

    def test_between_starts(self):
        self.weir("-j4", "--joblog", "log", "--delay", "100ms", self.job(), ":::", *"abcd")
        starts = sorted(float(row["Starttime"]) for row in self.rows())
        for one, other in zip(starts, starts[1:]):
            self.assertGreaterEqual(other - one, 0.098)

    def test_no_delay_before_the_first_and_after_the_last(self):
        self.weir("--delay=1h", self.job(), ":::", "a")

    def test_a_rate(self):
        """What comes at once at the beginning is at most what the rate allows in a second."""
        for rate, most, jobs, least in (("4", 4, 7, 0.5), ("4/s", 4, 7, 0.5), ("240/m", 4, 7, 0.5)):
            (self.cwd / "log").unlink(missing_ok=True)
            self.weir(
                "-j9", "--joblog", "log", "--rate", rate, "true", ":::", *map(str, range(jobs))
            )
            starts = sorted(float(row["Starttime"]) for row in self.rows())
            self.assertGreaterEqual(starts[-1] - starts[0], least, rate)

    def test_an_hourly_rate(self):
        result = self.run_it(
            "--rate", "1/h", "--deadline", "500ms", "echo {} >>ran", ":::", *"abcd"
        )
        self.assertEqual(result.status, 124)
        self.assertEqual(len(self.read("ran").splitlines()), 1)  # whichever slot was first

    def test_retries_are_starts_too(self):
        self.weir(
            "--joblog",
            "log",
            "--delay",
            "100ms",
            "--retries",
            "3",
            self.job() + "; false",
            ":::",
            "a",
            status=1,
        )
        times = self.times()
        self.assertEqual(len(times), 3)
        for one, other in zip(times, times[1:]):
            self.assertGreaterEqual(other - one, 0.05)


@unittest.skipUnless(may_replace_proc(), "files cannot be put over those of /proc")
class Machine(Case):
    """The load and the memory of the machine are files that the test writes."""

    def begin(self, name, high, *options):
        self.write("shown", high)
        self.script("job", "cat shown >>seen\n")
        mount = f'mount --bind shown /proc/{name} && exec "$0" run "$@"'
        program = ("unshare", "-m", "sh", "-c", mount, WEIR)
        return self.start(*options, "./job", ":::", *"abc", program=program)

    def now(self, text):
        """Written in place: what is mounted is this very file."""
        with open(self.cwd / "shown", "r+") as file:
            file.truncate()
            file.write(text)

    def test_load(self):
        high, low = "9.00 9.00 9.00 1/100 1\n", "0.10 9.00 9.00 1/100 1\n"
        run = self.begin("loadavg", high, "--load", "4")
        run.read_some(0.3)
        self.now(low)
        self.assertEqual(run.end().status, 0)
        self.assertEqual(self.read("seen"), (low * 3).encode())

    def test_load_that_is_low_holds_nothing_back(self):
        low = "0.10 9.00 9.00 1/100 1\n"
        run = self.begin("loadavg", low, "--load=0.5")
        self.assertEqual(run.end().status, 0)

    def test_memory(self):
        names = ("MemTotal: 8000000", "MemFree: {0}", "MemAvailable: {0}", "Cached: 0")
        text = "".join(f"{name} kB\n" for name in names)
        little, enough = text.format(500000), text.format(3000000)
        run = self.begin("meminfo", little, "--memfree", "2G")
        run.read_some(0.3)
        self.now(enough)
        self.assertEqual(run.end().status, 0)
        self.assertEqual(self.read("seen"), (enough * 3).encode())

    def test_a_run_that_waits_for_the_machine_can_be_stopped(self):
        run = self.begin(
            "loadavg", "9.00 9.00 9.00 1/100 1\n", "--load", "4", "--deadline", "300ms"
        )
        result = run.end()
        self.assertEqual(result.status, 124)
        self.assertFalse((self.cwd / "seen").exists())


class Breaker(Case):
    def test_no_starts_while_it_is_open_then_one_probe(self):
        self.script("job", "date +%s.%N >>times; [ $1 -gt 5 ]\n")
        jobs = [str(n) for n in range(1, 9)]
        self.weir(
            *("-j1", "--joblog", "log", "--breaker", "50/4,500ms", "./job", ":::"), *jobs, status=5
        )
        starts = [float(row["Starttime"]) for row in self.rows()]
        gaps = [other - one for one, other in zip(starts, starts[1:])]
        self.assertGreaterEqual(gaps[3], 0.45)  # after four failures of four calls
        self.assertGreaterEqual(gaps[4], 0.45)  # the probe failed, too
        self.assertEqual(len(starts), 8)

    def test_the_probe_is_alone(self):
        """The fourth job makes three more slots, and opens the breaker. Whichever comes next is
        the probe, which takes longer than the breaker stays open."""
        self.write("slots.conf", "1\n")
        self.script(
            "job",
            "[ $1 != 4 ] || echo 4 >slots.conf\n[ $1 -gt 4 ] || exit 1\n"
            "if mkdir first; then : >probing; sleep 0.4; rm probing; exit 0; fi 2>/dev/null\n"
            "[ ! -e probing ] || : >together\n",
        )
        options = ("-j", "slots.conf", "--breaker", "50/4,100ms")
        self.weir(*options, "./job", ":::", *"123456789", status=4)
        self.assertFalse((self.cwd / "together").exists())

    def test_nothing_fails_nothing_waits(self):
        self.weir("--breaker=50/4,1h", "true", ":::", *map(str, range(20)))

    def test_an_open_breaker_can_be_stopped(self):
        self.weir(
            "-j1",
            "--breaker",
            "50/2,1h",
            "--deadline",
            "400ms",
            "false",
            ":::",
            *"abcdef",
            status=124,
        )


class Nice(Case):
    def test_jobs_are_nicer(self):
        base = int(self.peer("nice").out)
        self.prints(f"{min(base + 5, 19)}\n", "--nice", "5", ": {}; nice", ":::", "a")
        self.prints(f"{base}\n", "--nice=0", ": {}; nice", ":::", "a")

    def test_weir_itself_is_not(self):
        gate = self.gate()
        self.script("job", ": >in; read _ <gate\n")
        base = int(self.peer("nice").out)
        run = self.start("--nice", "7", "./job", ":::", "a")
        self.wait_for("in")
        self.assertEqual(os.getpriority(os.PRIO_PROCESS, run.pid), base)
        gate.open()
        run.end()


if __name__ == "__main__":
    main()
