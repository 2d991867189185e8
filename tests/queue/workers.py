# SPDX-License-Identifier: MIT
"""Workers that die, are suspended, are slow, are told to go.

Usage: workers.py [--long]     --long: as many kills as it takes to be sure, for the suite slow
"""

import os
import random
import signal
import sys
import time

from support import PREFIX, Test, eventually, main

KILLS = 20 if "--long" in sys.argv else 4
if "--long" in sys.argv:
    sys.argv.remove("--long")


class Killed(Test):
    def test_no_job_is_lost_or_doubled_beyond_what_ran_when_workers_are_killed(self):
        seed = int(os.environ.get("SEED", random.randrange(10**6)))
        chance, count, slots = random.Random(seed), 60 * KILLS, 2
        print(f"SEED={seed}", flush=True)
        self.push(count, "body=#:ms=15")
        words = ("lease=700", f"workers={slots}")
        steady, killed = self.worker(*words), 0
        while killed < KILLS:
            victim = self.worker(*words)
            eventually(lambda: victim.lines("connected"), "a worker")
            time.sleep(chance.uniform(0, 0.25))  # the random point
            victim.send(signal.SIGKILL)
            victim.process.wait()
            killed += 1
        def over():
            stats = self.stats()
            return stats["done"] + stats["dead"] == count and stats
        dead = eventually(over, "an end of all")["dead"]
        # One that was at three of the victims counts as poison: nothing else may be dead.
        self.assertEqual([line.split()[6] for line in self.play("dead").splitlines()],
                         ["poison"] * dead)
        print(f"{dead} of {count} were at three victims", flush=True)
        self.play("retry")
        eventually(lambda: self.stats()["done"] == count, "all done")
        steady.send(signal.SIGTERM)
        self.assertEqual(steady.end(), 0)
        started, well = self.started(), self.ended_well()
        self.assertEqual(set(well), {f"{n}:ms=15" for n in range(count)})
        # Each kill doubles at most what ran there.
        again = sum(started.values()) - count
        self.assertLessEqual(again, killed * slots)
        self.assertLessEqual(max(started.values()), 4)
        self.assert_clean()

    def test_jobs_of_a_killed_worker_run_elsewhere_when_their_leases_are_over(self):
        self.push(2, "body=#:ms=400")
        victim = self.worker("lease=1000", "batch=-1")
        eventually(lambda: len(self.started()) == 2, "both")
        victim.send(signal.SIGKILL)
        begin = time.monotonic()
        self.worker("lease=1000")
        eventually(lambda: len(self.logged("start")) == 4, "both again")
        print(f"lease 1 s: taken over after {time.monotonic() - begin:.2f} s", flush=True)
        # It cost them an attempt, since their handlers had been called.
        self.assertEqual({row[2] for row in self.logged("start")[2:]}, {"2"})
        eventually(lambda: self.stats()["done"] == 2, "both done")
        self.assertEqual(self.stats()["taken_over"], 2)

    def test_a_job_that_was_only_taken_costs_nothing(self):
        self.push(1, "body=first:ms=60000", "retries=1")
        self.push(1, "body=second:ms=1", "retries=1")
        victim = self.worker("lease=500", "workers=1", "batch=1")
        eventually(lambda: self.stats()["running"] == 2 and self.started(), "both at the worker")
        self.server("HSET", PREFIX + "job:1", "body", "first")  # shorter for the next
        victim.send(signal.SIGKILL)
        self.drain("workers=1")
        # The first one had begun its only attempt.
        self.assertIn("first 5 1 0 worker", self.play("dead"))
        self.assertEqual([row[2] for row in self.logged("start") if row[0] == "second:ms=1"], ["1"])
        self.assertEqual(self.stats()["done"], 1)

    def test_a_job_that_kills_its_workers_is_poison(self):
        self.push(1, "body=x:kill", "retries=50")
        for death in range(1, 4):
            worker = self.worker("lease=200")
            self.assertEqual(worker.end(), -signal.SIGKILL)
            self.assertEqual(self.server("HGET", PREFIX + "job:1", "attempts"), str(death))
        self.push(1, "body=after")
        self.drain()
        self.assertEqual(self.play("dead"), "1 - x:kill 6 3 0 poison \n")
        self.assertEqual(self.started(), {"x:kill": 3, "after": 1})


class Leases(Test):
    def test_a_job_of_three_leases_runs_once(self):
        self.push(1, "body=x:ms=6000")
        workers = [self.worker("lease=2000") for _ in range(2)]
        eventually(lambda: self.stats()["done"] == 1, "the end")
        self.assertEqual(self.started(), {"x:ms=6000": 1})
        self.assertEqual([w.lines("lost") for w in workers], [[], []])
        self.assertEqual(self.stats()["taken_over"], 0)

    def test_without_renewal_it_runs_again_while_it_still_runs(self):
        self.push(1, "body=x:ms=60000:stubborn=2000")
        workers = [self.worker("lease=500", "renew=-1") for _ in range(2)]
        eventually(lambda: len(self.logged("start")) >= 2, "a second start")
        # The first one learned that it has lost the job, and did not heed it.
        eventually(lambda: any(w.lines("lost") for w in workers), "word of the loss")
        eventually(lambda: self.logged("end"), "an end")
        self.assertEqual(self.logged("end")[0][2], "-116")  # ESTALE

    def test_a_suspended_worker_learns_that_it_lost_its_job(self):
        self.push(1, "body=x:ms=3000", "retries=9")
        first = self.worker("lease=600", "workers=1", "batch=-1")
        eventually(lambda: self.started(), "the start")
        first.send(signal.SIGSTOP)
        second = self.worker("lease=600", "workers=1", "batch=-1")
        eventually(lambda: len(self.logged("start")) == 2, "the start elsewhere")
        token = self.server("HGET", PREFIX + "job:1", "token")
        first.send(signal.SIGCONT)
        eventually(lambda: first.lines("lost"), "word of the loss")
        eventually(lambda: self.logged("end"), "the end of the first")
        body, job, cause, pid = self.logged("end")[0]
        self.assertEqual((cause, int(pid)), ("-116", first.pid))  # ESTALE
        # Its late result changes nothing: the job is the other's, and is done by it, once.
        self.assertEqual(self.server("HGET", PREFIX + "job:1", "token"), token)
        first.send(signal.SIGTERM)
        self.assertEqual(first.end(), 0)
        self.assertEqual((self.stats()["failed"], self.stats()["running"]), (0, 1))
        eventually(lambda: self.stats()["done"] == 1, "the end of the second")
        second.send(signal.SIGTERM)
        self.assertEqual(second.end(), 0)
        self.assert_clean()

    def test_two_workers_keep_to_their_own_leases(self):
        self.push(1, "body=x:ms=5000")
        first = self.worker("lease=60000", "workers=1", "batch=-1")
        eventually(lambda: self.started(), "the start")
        first.send(signal.SIGSTOP)
        self.push(1, "body=y")
        second = self.worker("lease=200")
        eventually(lambda: self.stats()["done"] == 1, "the other job")
        seconds, micros = self.server("TIME")
        left = int(self.server("ZSCORE", PREFIX + "leases", 1)) - int(seconds) * 1000
        self.assertGreater(left, 10000)
        self.assertEqual(second.lines("lost"), [])
        self.assertEqual(self.stats()["taken_over"], 0)
        first.send(signal.SIGCONT)


class Going(Test):
    def test_never_more_at_a_worker_than_slots_and_one_batch(self):
        self.push(400, "body=#:ms=5")
        self.worker("workers=3", "batch=2")
        most = 0
        def look():
            nonlocal most
            most = max(most, self.pending())
            return self.stats()["done"] == 400
        eventually(look, "all done")
        self.assertGreater(most, 2)
        self.assertLessEqual(most, 5)

    def test_slots_bound_the_handlers_below_the_workers_of_the_pool(self):
        self.push(40, "body=#:ms=10")
        self.drain("workers=4", "slots=1", "batch=3")
        events = [line.split()[0] for line in self.log.read_text().splitlines()]
        self.assertEqual(events, ["start", "end"] * 40)

    def test_a_worker_that_goes_gives_back_what_has_not_started(self):
        self.push(10, "body=#:ms=2500")
        worker = self.worker("workers=2", "batch=6", "lease=60000")
        eventually(lambda: len(self.started()) == 2 and self.pending() == 8, "a full worker")
        worker.send(signal.SIGTERM)
        begin = time.monotonic()
        eventually(lambda: self.stats()["queued"] == 8, "what has not started")
        print(f"given back after {time.monotonic() - begin:.2f} s", flush=True)
        self.assertEqual(len(self.logged("end")), 0)  # while the others run on
        self.assertEqual(worker.end(), 0)
        self.assertEqual([row[2] for row in self.logged("end")], ["0", "0"])
        self.assertEqual((self.stats()["done"], self.stats()["workers"]), (2, 0))
        self.drain("workers=8", "lease=60000")
        self.assertEqual(set(self.started().values()), {1})
        self.assertEqual({row[2] for row in self.logged("start")}, {"1"})
        self.assert_clean()

    def test_a_worker_leaves_no_consumer_behind(self):
        self.push(5)
        self.drain()
        self.assertEqual(self.server("XINFO", "CONSUMERS", PREFIX + "jobs", "workers"), [])

    def test_a_pool_that_is_closed_ends_a_worker_and_the_jobs_go_back(self):
        self.push(3)
        self.assertIn("error EPIPE ", self.play("serve", "closed=1", status=1))
        self.assertEqual((self.stats()["queued"], self.stats()["workers"]), (3, 0))

    def test_drain_waits_for_what_runs_elsewhere_and_for_what_is_delayed(self):
        self.push(1, "body=x:ms=1500")
        self.worker("batch=-1", "workers=1")
        eventually(lambda: self.started(), "the start")
        self.push(1, "body=late", "delay=1000")
        self.drain()
        self.assertEqual(self.stats()["done"], 2)


main()
