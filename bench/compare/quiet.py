# SPDX-License-Identifier: MIT
"""Measures in moments in which other programs leave the machine alone, as far as there are any."""

import os
import resource
import time
from pathlib import Path

LITTLE, TRIES, PAUSE_S, MOST_PAUSES = 0.1, 2, 0.5, 6


def cpu_seconds():
    """Of all programs together; and of those that this one has started and that have ended."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _, _, irq, softirq = map(int, fields[:7])
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    everybody = (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
    return everybody, used.ru_utime + used.ru_stime


def others_used(before, seconds):
    """How many CPUs others have used in these seconds, since cpu_seconds() said `before`."""
    after = cpu_seconds()
    return max(0, (after[0] - before[0] - after[1] + before[1]) / seconds)


def wait_for_quiet():
    for _ in range(MOST_PAUSES):
        before = cpu_seconds()
        time.sleep(PAUSE_S)
        if others_used(before, PAUSE_S) < LITTLE:
            return


def undisturbed(measure):
    """What `measure` returns when others used little of the CPUs meanwhile: of some tries the best
    one. And how much that was, in CPUs."""
    best, least = None, None
    for _ in range(TRIES):
        wait_for_quiet()
        before, began = cpu_seconds(), time.monotonic()
        got = measure()
        others = others_used(before, time.monotonic() - began)
        if least is None or others < least:
            best, least = got, others
        if least < LITTLE:
            break
    return best, least
