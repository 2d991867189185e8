#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Large inputs in little memory, few descriptors, few processes."""

import os
import resource
import subprocess
import threading
import unittest
from pathlib import Path

from support import WEIR, Case, is_sanitized, main

MEGABYTES = 32


class Memory(Case):
    def peak(self, run):
        """The most memory that it had so far, in kilobytes; None once it is gone."""
        try:
            for line in Path(f"/proc/{run.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM"):
                    return int(line.split()[1])
        except OSError:
            pass
        return None

    def feed(self, run, chunk, times):
        """Writes to its standard input; returns the peak before its end."""

        def write():
            with run.process.stdin as file:
                for _ in range(times):
                    file.write(chunk)

        thread = threading.Thread(target=write)
        thread.start()
        peak = 0
        while run.process.poll() is None:
            peak = max(peak, self.peak(run) or 0)
            if run.open:
                run.read_some(0.01)
                for name in run.text:
                    run.text[name] = run.text[name][-1000:]
        thread.join()
        return peak

    def bounded(self, *args, chunk, times, **more):
        run = self.start(*args, stdin=subprocess.PIPE, **more)
        peak = self.feed(run, chunk, times)
        self.assertEqual(run.end().status, 0)
        self.assertGreater(peak, 0)
        if not is_sanitized():
            self.assertLess(peak, MEGABYTES << 10)

    def test_a_million_records(self):
        chunk = b"".join(b"record number %d\n" % n for n in range(10000))
        self.bounded("-n", "5000", "true", chunk=chunk, times=100)

    def test_a_million_records_that_are_printed(self):
        chunk = b"".join(b"record number %d\n" % n for n in range(10000))
        self.bounded("-k", "-X", "echo", chunk=chunk, times=100)

    def test_a_million_records_of_a_dry_run(self):
        chunk = b"".join(b"record number %d\n" % n for n in range(10000))
        self.bounded("--dry-run", "true", chunk=chunk, times=100)

    def test_blocks(self):
        self.bounded("--pipe", "cat >/dev/null", chunk=b"0123456789abcde\n" * 4096, times=3000)

    def test_combinations_are_not_laid_out(self):
        """A hundred million of them, of which the first few run."""
        hundred = [str(n) for n in range(100)]
        run = self.start(
            *("-j1", "--halt", "soon,done=20", "true"),
            *(word for _ in range(4) for word in [":::", *hundred]),
        )
        peak = self.watch(run)
        self.assertEqual(run.end().status, 0)
        if not is_sanitized():
            self.assertLess(peak, MEGABYTES << 10)

    def watch(self, run):
        peak = 0
        while run.process.poll() is None:
            peak = max(peak, self.peak(run) or 0)
            run.read_some(0.005)
        return peak

    def test_one_endless_line(self):
        """It is no line until it ends, and must not be kept for that."""
        for option in ("--line-buffer", "--tag", "-k"):
            with open(os.devnull, "wb") as file:
                run = self.start(
                    option, "head -c 300000000 /dev/zero; : {}", ":::", "a", stdout=file
                )
            peak = self.watch(run)
            self.assertEqual(run.end().status, 0)
            if not is_sanitized():
                self.assertLess(peak, MEGABYTES << 10, option)

    def test_output_of_a_slow_reader(self):
        """Jobs write faster than somebody reads: weir keeps little of it in memory."""
        reader, writer = os.pipe()
        run = self.start("-j2", "head -c 20000000 /dev/zero; : {}", ":::", *"1234", stdout=writer)
        os.close(writer)
        size, peak = 0, 0
        while True:
            peak = max(peak, self.peak(run) or 0)
            chunk = os.read(reader, 1 << 20)
            if not chunk:
                break
            size += len(chunk)
        os.close(reader)
        self.assertEqual(run.end().status, 0)
        self.assertEqual(size, 80000000)
        if not is_sanitized():
            self.assertLess(peak, MEGABYTES << 10)


class Descriptors(Case):
    def limited(self, number, *args, **more):
        script = f'ulimit -n {number}; exec "$0" run "$@"'
        return self.run_it("-c", script, WEIR, *args, program=("sh",), **more)

    def test_few_descriptors(self):
        """More slots than descriptors suffice for: fewer run, and all are right."""
        numbers = [str(n) for n in range(200)]
        for limit in (64, 40, 24):
            result = self.limited(limit, "-k", "-j", "100", "echo", ":::", *numbers)
            self.assertEqual(result.status, 0, (limit, result))
            self.assertEqual(result.out.decode().split(), numbers)

    def test_too_few(self):
        for limit in (3, 5, 8):
            result = self.limited(limit, "-k", "-j", "4", "echo", ":::", *"abc")
            if result.status == 0:
                self.assertEqual(result.out, b"a\nb\nc\n")
            else:
                self.assertTrue(result.err, limit)

    def test_large_outputs_with_few_descriptors(self):
        """Each output ahead of the first one waits in a file."""
        self.script(
            "job",
            "[ $1 != 1 ] || sleep 0.3\nyes $1 | head -c 200000\n",
        )
        numbers = [str(n) for n in range(1, 81)]
        result = self.limited(48, "-j4", "-k", "./job", ":::", *numbers)
        if result.status == 0:
            self.assertEqual(len(result.out), 80 * 200000)
            self.assertTrue(result.out.startswith(b"1\n1\n"))
        else:
            self.assertIn(b"Too many open files", result.err)

    def test_too_few_descriptors(self):
        """Where no job can start, none is tried after the first, and that is no failure of it."""
        result = self.limited(8, "echo", ":::", "a", "b", "c")
        self.assertEqual((result.status, result.out), (125, b""))
        self.assertIn(b"Too many open files", result.err)
        self.assertIn(b"2 not run", result.err)

    def test_a_job_gets_the_limit_of_the_user(self):
        """weir may raise its own limit, but not that of its jobs."""
        bare = self.run_it("-c", "ulimit -n 100; ulimit -S -n 50; ulimit -n", program=("sh",)).out
        script = 'ulimit -n 100; ulimit -S -n 50; exec "$0" run "$@"'
        result = self.run_it("-c", script, WEIR, ": {}; ulimit -n", ":::", "a", program=("sh",))
        self.assertEqual(result.out, bare)


class ProcessLimit(Case):
    def limited(self, processes, *args):
        """As another user, whose limit holds: root has none."""

        def limit():
            resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
            os.setgid(65534)
            os.setuid(65534)

        os.chmod(self.folder, 0o777)
        os.chmod(self.cwd, 0o777)
        return subprocess.run(
            [WEIR, "run", *args],
            preexec_fn=limit,
            capture_output=True,
            cwd=self.cwd,
            env=self.env,
            timeout=120,
            check=False,
        )

    @unittest.skipUnless(os.geteuid() == 0, "only root becomes another user")
    def test_few_processes(self):
        """Fewer jobs run at once than there are slots, and all of them run."""
        ran = self.limited(60, "-j50", "sleep", ":::", *["0.2"] * 80)
        self.assertEqual((ran.returncode, ran.stderr), (0, b""))

    @unittest.skipUnless(os.geteuid() == 0, "only root becomes another user")
    def test_no_more_processes(self):
        """A job that cannot be started for lack of processes is a failure that is told."""
        ran = self.limited(1, "echo", ":::", "a", "b")
        if ran.returncode == 0:
            self.assertEqual(sorted(ran.stdout.split()), [b"a", b"b"])
        else:
            self.assertTrue(ran.stderr)


class Idle(Case):
    def test_silent_jobs_cost_no_processor_time(self):
        gate = self.gate()
        self.script("job", ": >in.$1; read _ <gate\n")
        run = self.start("-j4", "./job", ":::", *"1234")
        self.wait_for("in.1", "in.2", "in.3", "in.4")

        def used():
            fields = Path(f"/proc/{run.pid}/stat").read_text().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])

        def switches():
            text = ""
            for task in Path(f"/proc/{run.pid}/task").iterdir():
                text += Path(task, "status").read_text()
            lines = [line for line in text.splitlines() if line.startswith("voluntary")]
            return sum(int(line.split()[1]) for line in lines)

        run.read_some(0.2)
        before = used(), switches()
        run.read_some(1)
        run.read_some(1)
        after = used(), switches()
        self.assertLessEqual(after[0] - before[0], 1)  # a clock tick, of 100 a second
        self.assertLessEqual(after[1] - before[1], 10)
        gate.open()
        self.assertEqual(run.end().status, 0)


if __name__ == "__main__":
    main()
