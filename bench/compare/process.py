# SPDX-License-Identifier: MIT
"""Runs one program to its end, or to the point where it is clear that there will be none."""

import os
import select
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field

LOOK_S = 2
STUCK_LOOKS = 5  # so many looks in a row at which it had used no processor time
IDLE_SHARE = 0.05  # of a processor, which a program may use that only waits
CANNOT = 3


@dataclass
class Outcome:
    metrics: dict = field(default_factory=dict)
    failure: str = ""  # why there are no metrics
    wrong: bool = False  # the program says that it lost something, or it crashed
    other_form: bool = False  # this was not for this form of the peer


def cpu_seconds(pid):
    """Of all threads of the process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait(process, time_out_s):
    """Returns "" once the process has ended, else why it was stopped. Does not poll in between."""
    ended = os.pidfd_open(process.pid)
    looks = idle_looks = 0
    used = 0.0
    try:
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        while not poll.poll(LOOK_S * 1000):
            looks += 1
            before, used = used, cpu_seconds(process.pid)
            idle_looks = idle_looks + 1 if used - before < IDLE_SHARE * LOOK_S else 0
            if idle_looks >= STUCK_LOOKS:
                return f"deadlocks (idle for {STUCK_LOOKS * LOOK_S} s)"
            if looks * LOOK_S >= time_out_s:
                return f"stuck or too slow (busy for {time_out_s} s)"
        return ""
    finally:
        os.close(ended)


def judge(status, output, errors):
    """What a program that ended has told."""
    if "all goroutines are asleep" in errors:
        return Outcome(failure="deadlocks (says Go's runtime)")
    lines = [line.split(None, 1) for line in output.splitlines()]
    if status == CANNOT:
        reason = " ".join(line[1] for line in lines if line and line[0] == "cannot")
        return Outcome(failure=f"cannot {reason}", other_form=reason.startswith("another form"))
    if status != 0:
        last = errors.strip().splitlines()[-1:] or [f"exit status {status}"]
        return Outcome(failure=f"WRONG: {last[0].removeprefix('WRONG: ')}", wrong=True)
    return Outcome(metrics={line[0]: float(line[1]) for line in lines if len(line) == 2})


def run(command, time_out_s):
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
            env={**os.environ, "LC_ALL": "C"},
        ) as process:
            try:
                stopped = wait(process, time_out_s)
            except BaseException:
                stopped = "interrupted"
                raise
            finally:
                if process.poll() is None and stopped:
                    os.killpg(process.pid, signal.SIGKILL)
        if stopped:
            return Outcome(failure=stopped)
        output.seek(0)
        errors.seek(0)
        return judge(process.returncode, output.read(), errors.read())
