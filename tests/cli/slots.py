#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How many jobs run at once, and what each of them is to the system."""

import os
import unittest
from pathlib import Path

from support import WEIR, Case, alive, have, main

# Waits until NUMBER jobs are inside at the same time, then lets all of them go.
TOGETHER = """
: >in.$WEIR_SEQ
until [ "$(ls | grep -c '^in[.]')" -ge {number} ]; do sleep 0.01; done
"""
# Notes the slot, and fails if somebody else is in it.
ALONE = """
mkdir slot.$WEIR_SLOT || exit 1
echo $WEIR_SLOT >>slots
rmdir slot.$WEIR_SLOT
"""


class Slots(Case):
    def check(self, option, number, wrapper=()):
        """With this option exactly so many jobs run at once."""
        self.script("together", TOGETHER.replace("{number}", str(number)))
        self.script("alone", ALONE)
        jobs = [str(n) for n in range(number)]
        command = [*wrapper, WEIR, "run", *option]
        self.ends_well(*command, "./together", ":::", *jobs)
        for path in self.cwd.glob("in.*"):
            path.unlink()
        self.ends_well(*command, "./alone", ":::", *map(str, range(4 * number + 4)))
        slots = {int(word) for word in self.read("slots").split()}
        self.assertLessEqual(max(slots), number, option)
        self.assertGreaterEqual(min(slots), 1)
        (self.cwd / "slots").unlink()

    def ends_well(self, *command):
        result = self.run_it(*command[1:], program=command[:1])
        self.assertEqual(result.status, 0, result)

    def test_a_number(self):
        self.check(("-j", "1"), 1)
        self.check(("-j3",), 3)
        self.check(("--jobs", "5"), 5)
        self.check(("--jobs=2",), 2)

    def test_the_cpus_that_it_may_use(self):
        self.check((), len(os.sched_getaffinity(0)))

    @unittest.skipUnless(have("taskset"), "no taskset")
    def test_one_cpu(self):
        cpu = str(min(os.sched_getaffinity(0)))
        one = ("taskset", "-c", cpu)
        self.check((), 1, one)
        self.check(("-j", "100%"), 1, one)
        self.check(("-j", "300%"), 3, one)
        self.check(("-j", "50%"), 1, one)
        self.check(("-j", "+2"), 3, one)
        self.check(("-j", "+0"), 1, one)
        self.check(("-j", "-8"), 1, one)

    def test_parts_and_more(self):
        cpus = len(os.sched_getaffinity(0))
        self.check(("-j", "200%"), 2 * cpus)
        self.check(("-j", "+1"), cpus + 1)
        self.check(("-j", "-1"), max(cpus - 1, 1))

    def test_as_many_as_possible(self):
        self.script("together", TOGETHER.replace("{number}", "150"))
        self.weir("-j0", "./together", ":::", *map(str, range(150)))

    def test_more_slots_than_jobs(self):
        self.prints("a\n", "-j", "1000", "echo", ":::", "a")

    def test_a_slot_is_given_again(self):
        self.script("alone", ALONE)
        self.weir("-j3", "./alone", ":::", *map(str, range(60)))
        self.assertLessEqual({int(word) for word in self.read("slots").split()}, {1, 2, 3})

    def test_a_file_that_changes_while_it_runs(self):
        self.write("slots.conf", "1\n")
        first = self.gate("first")
        self.script(
            "job",
            ": >started.$1; if [ $1 = 1 ]; then read _ <first; exit 0; fi\n"
            "[ $1 != 5 ] || exit 0\n"
            'until [ -e started.2 ] && [ -e started.3 ] && [ -e started.4 ]; do sleep 0.01; done\n',
        )
        run = self.start("-j", "slots.conf", "./job", ":::", *"12345")
        self.wait_for("started.1")
        self.assertFalse((self.cwd / "started.2").exists())
        self.write("slots.conf", "3\n")
        first.open()
        self.assertEqual(run.end().status, 0)

    def test_a_file_that_becomes_less(self):
        """Whichever of the first four ends first, there is one slot then: the others run alone."""
        self.write("slots.conf", "4\n")
        self.script(
            "job",
            "mkdir run.$1\n"
            "if [ $1 = 1 ]; then echo 1 >new.conf; mv new.conf slots.conf; fi\n"
            'if [ $1 -le 4 ]; then until [ "$(cat slots.conf)" = 1 ]; do sleep 0.01; done\n'
            'else set -- $1 run.*; [ $# = 2 ] || echo "$@" >>together; fi\n'
            "rmdir run.$1\n",
        )
        self.weir("-j", "./slots.conf", "./job", ":::", *map(str, range(1, 31)))
        self.assertFalse((self.cwd / "together").exists())

    def test_a_file_that_becomes_nonsense_changes_nothing(self):
        self.write("slots.conf", "2\n")
        self.script("job", "echo x >slots.conf; echo $1\n")
        result = self.run_it("-k", "-j", "slots.conf", "./job", ":::", *"1234")
        self.assertEqual((result.status, result.out), (0, b"1\n2\n3\n4\n"))


class Processes(Case):
    def test_each_job_leads_a_process_group_of_its_own(self):
        self.script("job", "echo $$ $(cut -d' ' -f5 /proc/$$/stat)\n")
        for line in self.weir("-j2", "./job", ":::", *"abcd").out.splitlines():
            pid, group = line.split()
            self.assertEqual(pid, group)

    def test_a_job_has_no_signal_blocked_or_ignored(self):
        """Not counting 32 and 33, the C library's own, which its posix_spawn ignores."""
        internal = 3 << 31
        self.script("job", "grep -E '^Sig(Blk|Ign)' /proc/self/status\n")
        for line in self.weir("./job", ":::", "x").out.splitlines():
            self.assertEqual(int(line.split()[1], 16) & ~internal, 0, line)

    def test_a_job_has_only_the_three_descriptors(self):
        """And the one by which ls reads the folder."""
        self.prints("0\n1\n2\n3\n" * 20, "-j4", "ls", ":::", *["/proc/self/fd"] * 20)

    def test_a_daemon_that_a_job_leaves_behind_is_not_waited_for(self):
        self.script("job", "sleep 3600 & echo $! >daemon; echo done\n")
        for option in ("--group", "--line-buffer", "-u", "-k"):
            out = self.folder / "out"
            with open(out, "wb") as file:
                result = self.run_it(option, "./job", ":::", "x", stdout=file)
            self.assertEqual(result.status, 0)
            self.assertEqual(out.read_bytes(), b"done\n")
            pid = int(self.read("daemon"))
            self.assertTrue(alive(pid))
            os.kill(pid, 9)

    def test_orphans_of_jobs_are_reaped_while_it_runs(self):
        """weir is their parent then. Were they not reaped, they would stay as zombies."""
        gate = self.gate()
        self.script(
            "job", "if [ $1 = last ]; then read _ <gate; exit; fi\n(true & true &)\n: >$1\n"
        )
        run = self.start("-j2", "./job", ":::", "last", *map(str, range(30)), "end")
        children = Path(f"/proc/{run.pid}/task").glob
        self.wait_for("end")

        def only_the_last_one():
            lists = [Path(path, "children").read_text().split() for path in children("*")]
            return sum(map(len, lists)) <= 1

        self.wait_until(only_the_last_one, "the end of all orphans")
        gate.open()
        self.assertEqual(run.end().status, 0)


if __name__ == "__main__":
    main()
