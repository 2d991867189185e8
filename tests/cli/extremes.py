#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What takes minutes: ten million records, a thousand slots, hundreds of kills. Suite `slow`."""

import random
import signal
import subprocess
import threading
from collections import Counter
from pathlib import Path

from support import Case, alive, is_sanitized, main, processes


class Extremes(Case):
    def test_ten_million_records_in_32_megabytes(self):
        chunk = b"".join(b"record number %d\n" % n for n in range(100000))
        run = self.start("-n", "10000", "true", stdin=subprocess.PIPE)

        def write():
            with run.process.stdin as file:
                for _ in range(100):
                    file.write(chunk)

        thread = threading.Thread(target=write)
        thread.start()
        peak = 0
        while run.process.poll() is None:
            try:
                text = Path(f"/proc/{run.pid}/status").read_text()
            except OSError:
                break
            peaks = [int(line.split()[1]) for line in text.splitlines() if "VmHWM" in line]
            peak = max([peak, *peaks])
            run.read_some(0.05)
        thread.join()
        self.assertEqual(run.end().status, 0)
        self.assertGreater(peak, 0)
        if not is_sanitized():
            self.assertLess(peak, 32 << 10)

    def test_a_thousand_slots(self):
        self.script(
            "job", ': >in.$1\nuntil [ "$(ls | grep -c "^in[.]")" -ge 1000 ]; do sleep 1; done\n'
        )
        self.weir("-j1000", "./job", ":::", *map(str, range(1000)))

    def test_a_hundred_thousand_jobs(self):
        numbers = "".join(f"{n}\n" for n in range(100000))
        self.prints(numbers, "-k", "-j4", "echo", input=numbers)

    def test_hundreds_of_kills(self):
        """kill -9 after a few jobs each time, over and over, with other input each time."""
        chance = random.Random(7)
        records = [f"r{n}" for n in range(3000)]
        self.script("job", 'echo "$1" >>ran\n')
        ran_before, logged, kills = Counter(), Counter(), 0
        while True:
            chance.shuffle(records)
            self.write("list", "".join(record + "\n" for record in records))
            run = self.start(
                *("-a", "list", "-j4", "--joblog", "log", "--resume", "./job"),
                stderr=subprocess.DEVNULL,
            )
            ran = self.cwd / "ran"
            goal = (ran.stat().st_size if ran.exists() else 0) + chance.randrange(1, 80)
            self.wait_until(
                lambda: run.process.poll() is not None
                or ran.exists()
                and ran.stat().st_size >= goal,
                "jobs",
            )
            killed = run.process.poll() is None
            if killed:
                run.send(signal.SIGKILL)
            status = run.end().status
            self.wait_until(
                lambda: not [found for found in processes(self.mark) if alive(found[0])], "an end"
            )
            new = Counter(self.read("ran").split()) - ran_before
            for name in logged:
                self.assertEqual(new[name], 0, f"{name} was logged and ran again")
            ran_before = Counter(self.read("ran").split())
            rows = self.read("log").split(b"\n")[1:-1]
            logged = Counter(row.split(b"\t", 8)[8].split()[-1] for row in rows)
            if not killed:
                self.assertEqual(status, 0)
                break
            kills += 1
        self.assertGreater(kills, 50)
        self.assertEqual(logged, Counter(record.encode() for record in records))

    def test_gigabytes_of_output_in_order(self):
        """The first job ends last; the others, 20 MB each, wait in files."""
        self.script(
            "job",
            "[ $1 != 100 ] || until [ -e ahead ]; do sleep 0.01; done\n"
            "[ $1 != 150 ] || : >ahead\nyes $1 | head -c 20000000\n",
        )
        out = self.folder / "out"
        with open(out, "wb") as file:
            result = self.run_it(
                *("-j4", "-k", "./job", ":::"), *map(str, range(100, 200)), stdout=file
            )
        self.assertEqual(result.status, 0, result)
        with open(out, "rb") as file:
            for n in range(100, 200):
                self.assertEqual(file.read(20000000), b"%d\n" % n * 5000000)
            self.assertEqual(file.read(), b"")


if __name__ == "__main__":
    main()
