# SPDX-License-Identifier: MIT
"""What the tests of the program share.

Each test runs in a fresh folder that is also the jobs' working folder. The program's path comes
from the environment variable WEIR. When a test ends, no process that it started may be left, nor a
file in its $TMPDIR: both are checked.

Nothing here waits for a time to pass. A job waits at a gate until the test opens it; the test waits
until a file is there. Deadlines are only what ends a test that would hang.
"""

import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest
import uuid
from pathlib import Path

WEIR = os.environ.get("WEIR", "weir")
DEADLINE = 60 * float(os.environ.get("WEIR_TESTS_PATIENCE", "1"))
MARK = "WEIR_TESTS_MARK"

# Jobs in the background, and what nohup runs, begin with signals ignored, and hand that on.
for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGTSTP, signal.SIGUSR1):
    signal.signal(number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


class Result:
    """What a program that has ended left."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def __repr__(self):
        out, err = self.out[-2000:], self.err[-2000:]
        return f"status {self.status}\n--- output\n{out!r}\n--- errors\n{err!r}"


class Run:
    """A program that runs, and what it has written so far."""

    def __init__(self, command, stdin, stdout, stderr, cwd, env, pass_fds=()):
        streams = {"stdin": stdin, "stdout": stdout, "stderr": stderr, "pass_fds": pass_fds}
        self.process = subprocess.Popen(command, bufsize=0, cwd=cwd, env=env, **streams)
        self.pid = self.process.pid
        self.text = {"out": bytearray(), "err": bytearray()}
        self.open = {}
        for name, stream in (("out", self.process.stdout), ("err", self.process.stderr)):
            if stream is not None:
                self.open[name] = stream

    def read_some(self, seconds):
        """Reads what is there, waiting at most so long. False if nothing came."""
        ready, _, _ = select.select(list(self.open.values()), [], [], seconds)
        for name, stream in list(self.open.items()):
            if stream in ready:
                chunk = os.read(stream.fileno(), 1 << 16)
                self.text[name] += chunk
                if not chunk:
                    del self.open[name]
        return bool(ready)

    def read_until(self, wanted, name="out"):
        """Until the program has written this text."""
        ends = time.monotonic() + DEADLINE
        while wanted not in self.text[name]:
            if name not in self.open or time.monotonic() > ends:
                raise AssertionError(f"{wanted!r} did not come, but {self.text}")
            self.read_some(1)

    def send(self, number):
        os.kill(self.pid, number)

    def end(self):
        """Waits until it has ended. Its pipes are read meanwhile, but need not be closed: a
        process that it left behind may hold them."""
        ends = time.monotonic() + DEADLINE
        while self.process.poll() is None:
            if time.monotonic() > ends:
                raise AssertionError(f"did not end; so far {self.text}")
            if self.open:
                self.read_some(0.02)
            else:
                try:
                    self.process.wait(timeout=DEADLINE)
                except subprocess.TimeoutExpired:
                    continue
        while self.open and self.read_some(0):
            pass
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return Result(self.process.returncode, bytes(self.text["out"]), bytes(self.text["err"]))


class Gate:
    """Jobs that do `read _ <NAME` wait here until the test opens it, and pass from then on."""

    def __init__(self, path):
        os.mkfifo(path)
        self.fd = os.open(path, os.O_RDWR)

    def open(self):
        os.write(self.fd, b"\n" * 4096)

    def close(self):
        os.close(self.fd)


def processes(mark):
    """Those that have the mark in their environment: (pid, command line)."""
    wanted = f"{MARK}={mark}".encode()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            environment = Path("/proc", name, "environ").read_bytes()
            if wanted in environment.split(b"\0"):
                yield int(name), Path("/proc", name, "cmdline").read_bytes()
        except OSError:
            continue


def state_of(pid):
    """The letter that ps would show: R, S, T, Z ...; None if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None


def alive(pid):
    return state_of(pid) not in (None, "Z", "X")


def is_sanitized():
    """Whether a sanitizer's runtime is linked: its memory is not the program's."""
    try:
        listed = subprocess.run(["nm", WEIR], capture_output=True, check=False).stdout
    except OSError:
        return False
    return b"__asan_init" in listed or b"__tsan_init" in listed


def has_queue():
    """Whether this build has push, work and jobs."""
    command = [WEIR, "jobs", "--help"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def have(*programs):
    return all(shutil.which(program) for program in programs)


class Case(unittest.TestCase):
    maxDiff = 2000

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="weir-cli-"))
        self.cwd = self.folder / "cwd"
        self.cwd.mkdir()
        self.scratch = self.folder / "tmp"
        self.scratch.mkdir()
        self.mark = uuid.uuid4().hex
        self.env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "HOME": str(self.folder),
            "TMPDIR": str(self.scratch),
            "PARALLEL_HOME": str(self.folder / "parallel"),
            MARK: self.mark,
        }
        for name, value in os.environ.items():
            if name.endswith("SAN_OPTIONS"):
                self.env[name] = value
        self.gates = []
        self.runs = []

    def tearDown(self):
        left = self.what_is_left()
        for run in self.runs:
            if run.process.poll() is None:
                run.process.kill()
                run.process.wait()
            for stream in (run.process.stdin, run.process.stdout, run.process.stderr):
                if stream is not None:
                    stream.close()
        for gate in self.gates:
            gate.close()
        files = [path.name for path in self.scratch.iterdir()]
        shutil.rmtree(self.folder, ignore_errors=True)
        self.assertEqual(left, [], "processes are left")
        self.assertEqual(files, [], "files are left in $TMPDIR")

    def what_is_left(self):
        """Processes that go on though the test is over. They are given time to go, then killed."""
        ends = time.monotonic() + 5
        while True:
            left = [found for found in processes(self.mark) if alive(found[0])]
            if not left or time.monotonic() > ends:
                break
            time.sleep(0.01)
        for pid, _ in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return left

    # Running it.

    def start(self, *args, program=(WEIR, "run"), **more):
        """Starts `weir run ARGS`; `env` adds to the environment."""
        env = {**self.env, **more.pop("env", {})}
        stdin = more.pop("stdin", subprocess.DEVNULL)
        stdout = more.pop("stdout", subprocess.PIPE)
        stderr = more.pop("stderr", subprocess.PIPE)
        command = [*program, *args]
        cwd, pass_fds = more.pop("cwd", self.cwd), more.pop("pass_fds", ())
        run = Run(command, stdin, stdout, stderr, cwd, env, pass_fds)
        self.assertEqual(more, {})
        self.runs.append(run)
        return run

    def run_it(self, *args, input=None, **more):
        """Runs `weir run ARGS` to its end."""
        if input is None:
            return self.start(*args, **more).end()
        with tempfile.TemporaryFile(dir=self.folder) as file:
            file.write(input.encode() if isinstance(input, str) else input)
            file.seek(0)
            return self.start(*args, stdin=file, **more).end()

    def weir(self, *args, status=0, **more):
        """The same, and its exit status must be this."""
        result = self.run_it(*args, **more)
        self.assertEqual(result.status, status, result)
        return result

    def prints(self, wanted, *args, **more):
        """Its output must be this, and it says nothing on standard error."""
        result = self.weir(*args, **more)
        wanted = wanted.encode() if isinstance(wanted, str) else wanted
        self.assertEqual(result.out, wanted, result)
        if "status" not in more:
            self.assertEqual(result.err, b"", result)
        return result

    def peer(self, program, *args, **more):
        """Runs another program in the same folder and returns its output."""
        if program == "parallel":
            (self.folder / "parallel").mkdir(exist_ok=True)
            (self.folder / "parallel" / "will-cite").touch()
        return self.run_it(*args, program=(program,), **more)

    def refuses(self, *args, words=(), starts=True, **more):
        """A wrong use: exit 125, one sentence that has these words, and no job was started."""
        probe = self.cwd / "started"
        result = self.run_it(*args, **more)
        self.assertEqual(result.status, 125, result)
        self.assertEqual(result.out, b"", result)
        lines = result.err.decode("utf-8", "replace").splitlines()
        self.assertEqual(len(lines), 1, result)
        self.assertTrue(lines[0].startswith("weir"), result)
        for word in words:
            self.assertIn(word, lines[0], result)
        if starts:
            self.assertFalse(probe.exists(), "a job was started")
        return result

    # Files and gates.

    def write(self, name, content):
        path = self.cwd / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def read(self, name):
        return (self.cwd / name).read_bytes()

    def script(self, name, text):
        """A program for jobs, started as ./NAME."""
        path = self.write(name, "#!/bin/sh\n" + text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    def gate(self, name="gate"):
        gate = Gate(self.cwd / name)
        self.gates.append(gate)
        return gate

    def wait_until(self, ready, what):
        ends = time.monotonic() + DEADLINE
        while not ready():
            if time.monotonic() > ends:
                so_far = [run.text for run in self.runs]
                self.fail(f"{what} did not come about; so far {so_far}")
            time.sleep(0.002)

    def wait_for(self, *names):
        """Until jobs have made these files."""
        for name in names:
            self.wait_until((self.cwd / name).exists, f"the file {name}")

    def wait_for_pid(self, name):
        """Until the file holds the number of a process."""
        path = self.cwd / name
        self.wait_until(lambda: path.exists() and path.read_bytes().endswith(b"\n"), name)
        return int(path.read_text())

    def wait_gone(self, pid):
        self.wait_until(lambda: not alive(pid), f"the end of process {pid}")

    # What it says at the end.

    def last_line(self, result):
        lines = result.err.decode("utf-8", "replace").splitlines()
        return lines[-1] if lines else ""

    def summary(self, result, ok=0, failed=0, timed_out=0, not_run=0):
        wanted = f"weir: {ok} ok, {failed} failed, {timed_out} timed out, {not_run} not run"
        self.assertEqual(self.last_line(result), wanted, result)

    def rows(self, name="log"):
        """The rows of a job log, as dictionaries by its header."""
        lines = self.read(name).decode("utf-8", "surrogateescape").split("\n")
        self.assertEqual(lines[-1], "", "the job log ends in the middle of a row")
        names = lines[0].split("\t")
        return [dict(zip(names, line.split("\t", len(names) - 1))) for line in lines[1:-1]]


def main():
    sys.stdout.reconfigure(line_buffering=True)
    unittest.main(verbosity=2)
