# SPDX-License-Identifier: MIT
"""Jobs and what becomes of them: keys, times, limits, attempts, the dead, people's commands."""

import signal
import time

from support import PREFIX, Test, eventually, main


class Push(Test):
    def test_every_message_is_a_job_and_runs_once(self):
        self.assertEqual(self.push(1000), "added 1000 known 0 left 0\n")
        self.assertEqual(self.stats()["queued"], 1000)
        self.drain()
        self.assertEqual(self.started(), {str(n): 1 for n in range(1000)})
        self.assert_clean()

    def test_jobs_start_in_the_order_of_their_push(self):
        self.push(50)
        self.drain("workers=1")
        self.assertEqual([row[0] for row in self.logged("start")], [str(n) for n in range(50)])

    def test_a_key_that_is_queued_is_not_added_again(self):
        self.push(3, "key=#")
        self.assertEqual(self.push(5, "key=#"), "added 2 known 3 left 0\n")
        self.assertIn("known 1 2\n", self.push(2, "key=#", "tell=1"))
        self.assertEqual(self.stats()["known"], 5)

    def test_the_same_key_twice_in_one_push_is_added_once(self):
        self.assertEqual(self.push(10, "key=same"), "added 1 known 9 left 0\n")

    def test_a_key_is_remembered_when_its_job_is_done(self):
        self.push(1, "key=k", "remember=60000")
        self.drain()
        self.assertEqual(self.push(1, "key=k", "tell=1"), "known 0 -\nadded 0 known 1 left 0\n")
        ttl = self.server("PTTL", PREFIX + "key:k")
        self.assertTrue(0 < ttl <= 60000, ttl)

    def test_a_key_is_forgotten_after_its_time(self):
        self.push(1, "key=k", "remember=1")
        self.drain()
        eventually(lambda: self.push(1, "key=k").startswith("added 1"), "room for the key")

    def test_a_key_is_not_remembered_if_that_is_wished(self):
        self.push(1, "key=k", "remember=-1")
        self.drain()
        self.assertEqual(self.push(1, "key=k"), "added 1 known 0 left 0\n")

    def test_a_full_queue_takes_as_many_as_fit(self):
        text = self.play("push", 10, "limit=7", "within=300", status=1)
        self.assertIn("added 7 known 0 left 3\n", text)
        self.assertIn("error ETIMEDOUT the queue is full: its limit is 7 jobs\n", text)
        self.assertEqual(self.stats()["queued"], 7)

    def test_a_push_waits_for_room(self):
        pushing = self.player("push", 300, "limit=5")
        eventually(lambda: self.stats()["queued"] == 5, "a full queue")
        worker = self.worker()
        self.assertEqual(pushing.end(), 0, pushing.text())
        eventually(lambda: self.stats()["done"] == 300, "all done")
        worker.send(signal.SIGTERM)
        self.assertEqual(worker.end(), 0)
        self.assertEqual(self.started(), {str(n): 1 for n in range(300)})

    def test_a_known_key_needs_no_room(self):
        self.push(2, "key=#", "limit=2")
        self.assertEqual(self.push(2, "key=#", "limit=2", "within=100"), "added 0 known 2 left 0\n")

    def test_a_delayed_job_does_not_run_before_its_time(self):
        begin = self.now()
        self.push(1, "delay=1500")
        self.assertEqual(self.stats()["delayed"], 1)
        self.assertEqual(self.server("XLEN", PREFIX + "jobs"), 0)
        self.drain()
        self.assertGreaterEqual(self.now() - begin, 1500)
        self.assertEqual(self.started(), {"0": 1})
        self.assert_clean()

    def test_a_job_at_a_time_waits_for_it_by_the_clock_of_the_server(self):
        at = self.now() + 1200
        self.push(1, f"at={at}")
        self.drain()
        self.assertGreaterEqual(self.now(), at)
        self.push(1, "at=1", "first=1")  # long past
        self.assertEqual(self.stats()["queued"], 1)

    def test_an_idle_worker_hears_of_a_push_and_of_a_delayed_one(self):
        worker = self.worker()
        eventually(lambda: worker.lines("connected"), "a worker")
        eventually(lambda: "cmd=blpop" in self.server("CLIENT", "LIST"), "its ear")
        self.push(1)
        self.push(1, "first=1", "delay=300")
        eventually(lambda: len(self.started()) == 2, "both")

    def test_jobs_of_many_pushes_at_once_are_all_there(self):
        pushing = [self.player("push", 500, f"first={500 * n}") for n in range(6)]
        for player in pushing:
            self.assertEqual(player.end(), 0)
        self.drain("workers=4", "batch=32")
        self.assertEqual(self.started(), {str(n): 1 for n in range(3000)})


class Attempts(Test):
    def test_a_job_that_fails_is_tried_again_after_a_pause(self):
        self.push(1, "body=x:fail=2", "first_ms=200")
        begin = time.monotonic()
        self.drain()
        self.assertEqual([row[2] for row in self.logged("start")], ["1", "2", "3"])
        # The pauses are at least half of 200 and of 400 ms, by the clock of the server.
        self.assertGreaterEqual(time.monotonic() - begin, 0.3)
        stats = self.stats()
        self.assertEqual((stats["done"], stats["failed"], stats["dead"]), (1, 2, 0))
        self.assert_clean()

    def test_pauses_grow_to_their_maximum(self):
        self.push(1, "body=x:fail=49", "first_ms=100", "most_ms=250", "retries=50")
        worker, due = self.worker(), 0
        for attempt, least in enumerate((50, 100, 125, 125), 1):
            def attempts():
                return self.server("HGET", PREFIX + "job:1", "attempts")
            def waiting():
                if attempts() != str(attempt):
                    return None
                found = self.server("ZRANGE", PREFIX + "retry", 0, 0, "WITHSCORES")
                return found if attempts() == str(attempt) else None  # of this attempt
            before, due = due, int(eventually(waiting, f"attempt {attempt}")[1])
            # It did not begin before it was due, and its own pause came after it.
            self.assertGreaterEqual(due - before, least)
            self.assertLessEqual(due - self.now(), 250)
        worker.send(signal.SIGTERM)
        self.assertEqual(worker.end(), 0)

    def test_a_failed_job_is_dead_after_its_last_attempt(self):
        self.push(1, "body=x:fail=99", "retries=3", "first_ms=1", "key=k")
        self.drain()
        self.assertEqual(self.play("dead"), "1 k x:fail=99 9 3 7 failed it went wrong\n")
        self.assertEqual(len(self.logged("start")), 3)
        # The dead do not keep their keys.
        self.assertEqual(self.push(1, "key=k"), "added 1 known 0 left 0\n")

    def test_a_worker_may_have_its_own_number_of_attempts(self):
        self.push(1, "body=x:fail=99", "retries=50", "first_ms=1")
        self.drain("retries=2")
        self.assertEqual(len(self.logged("start")), 2)
        self.assertEqual(self.stats()["dead"], 1)

    def test_a_handler_may_bury_its_job(self):
        self.push(1, "body=x:bury")
        self.drain()
        self.assertEqual(self.play("dead"), "1 - x:bury 6 1 9 failed it went wrong\n")

    def test_a_handler_may_give_its_job_back_and_that_was_no_attempt(self):
        self.push(1, "body=x:back")
        worker = self.worker()
        eventually(lambda: len(self.logged("start")) > 8, "some more tries than attempts")
        worker.send(signal.SIGTERM)
        self.assertEqual(worker.end(), 0)
        self.assertEqual({row[2] for row in self.logged("start")}, {"1"})
        stats = self.stats()
        self.assertEqual(stats["queued"] + stats["done"], 1)

    def test_others_run_while_one_waits_for_its_next_attempt(self):
        self.push(1, "body=x:fail=1", "first_ms=2000")
        self.push(20)
        self.drain("workers=1")
        order = [row[0] for row in self.logged("start")]
        self.assertEqual(order[0], "x:fail=1")
        self.assertEqual(order[-1], "x:fail=1")


class Dead(Test):
    def setUp(self):
        super().setUp()
        self.push(5, "body=#:bury", "key=#")
        self.drain()

    def test_the_dead_are_listed_newest_first(self):
        self.assertEqual(len(self.play("dead").splitlines()), 5)
        self.assertEqual(self.stats()["dead"], 5)

    def test_a_dead_job_is_queued_again_with_all_its_attempts(self):
        self.play("retry", 3)
        self.assertEqual((self.stats()["dead"], self.stats()["queued"]), (4, 1))
        self.assertEqual(self.push(1, "body=2:bury", "key=#"), "added 0 known 1 left 0\n")
        self.drain()
        last = self.logged("start")[-1]
        self.assertEqual(last[:3], ("2:bury", "3", "1"))

    def test_all_the_dead_are_queued_again(self):
        self.play("retry")
        self.assertEqual((self.stats()["dead"], self.stats()["queued"]), (0, 5))

    def test_one_whose_key_is_in_use_stays_dead(self):
        self.push(1, "body=2:bury", "key=#")
        self.assertIn("error EEXIST", self.play("retry", 3, status=1))
        self.play("retry")
        self.assertEqual(self.stats()["dead"], 1)

    def test_the_dead_are_dropped(self):
        self.play("drop", 1)
        self.assertEqual(self.stats()["dead"], 4)
        self.play("drop")
        self.assertEqual(self.stats()["dead"], 0)
        self.assert_clean()

    def test_who_is_not_dead_is_named(self):
        self.assertIn("error ENOENT no job 77 is dead", self.play("retry", 77, status=1))
        self.assertIn("error ENOENT no job 77 is dead", self.play("drop", 77, status=1))

    def test_the_dead_list_keeps_the_newest(self):
        self.play("drop")
        # As if 10,000 had died before, with as little work as possible.
        for begin in range(0, 10000, 500):
            self.server("ZADD", PREFIX + "dead",
                        *(w for n in range(begin, begin + 500) for w in (n, f"old{n}")))
        self.push(2, "body=#:bury")
        self.drain()
        self.assertEqual(self.server("ZCARD", PREFIX + "dead"), 10000)
        self.assertEqual(self.stats()["fell_off"], 2)
        self.assertEqual(self.server("ZRANGE", PREFIX + "dead", 0, 0), ["old2"])


class People(Test):
    def test_a_queued_job_is_cancelled_by_id_or_key(self):
        self.push(2, "key=#")
        self.play("cancel", 1)
        self.play("cancel-key", 1)
        self.assertIn("error ENOENT", self.play("cancel", 1, status=1))
        self.assertEqual(self.stats()["cancelled"], 2)
        self.assertEqual(self.push(2, "key=#"), "added 2 known 0 left 0\n")

    def test_a_delayed_job_is_cancelled(self):
        self.push(1, "delay=100000")
        self.play("cancel", 1)
        self.drain()
        self.assertEqual(self.started(), {})
        self.assert_clean()

    def test_a_running_job_is_told_and_not_tried_again(self):
        self.push(1, "body=x:ms=100000")
        worker = self.worker("lease=600")
        eventually(lambda: self.started(), "the start")
        self.assertIn("error EINPROGRESS", self.play("cancel", 1, status=1))
        eventually(lambda: self.logged("end"), "the end")
        self.assertEqual(self.logged("end")[0][2], "-125")  # ECANCELED
        eventually(lambda: self.stats()["cancelled"] == 1, "its settling")
        worker.send(signal.SIGTERM)
        self.assertEqual(worker.end(), 0)
        self.assertEqual(len(self.logged("start")), 1)
        self.assert_clean()

    def test_a_job_that_is_cancelled_at_a_worker_before_its_start_does_not_start(self):
        self.push(1, "body=first:ms=1500")
        self.push(1, "body=second")
        worker = self.worker("workers=1", "batch=1", "lease=60000")
        eventually(lambda: self.started() and self.stats()["running"] == 2, "both at the worker")
        self.assertIn("error EINPROGRESS", self.play("cancel", 2, status=1))
        worker.send(signal.SIGTERM)
        self.assertEqual(worker.end(), 0)
        self.drain()
        self.assertEqual(self.started(), {"first:ms=1500": 1})
        self.assertEqual(self.stats()["cancelled"], 1)
        self.assert_clean()

    def test_a_paused_queue_hands_out_nothing(self):
        self.play("pause")
        self.play("pause")
        self.push(3)
        worker = self.worker()
        eventually(lambda: worker.lines("connected"), "a worker")
        eventually(lambda: self.stats()["workers"] == 1, "its first take")
        self.assertEqual(self.started(), {})
        self.assertEqual(self.stats()["paused"], 1)
        self.play("resume")
        eventually(lambda: len(self.started()) == 3, "all jobs")

    def test_running_jobs_are_listed(self):
        self.push(2, "body=#:ms=100000", "key=#")
        self.worker("name=me", "workers=1", "batch=1")
        eventually(lambda: self.started() and self.stats()["running"] == 2, "both at the worker")
        rows = sorted(line.split() for line in self.play("running").splitlines())
        self.assertEqual([row[:2] for row in rows], [["1", "0:ms=100000"], ["2", "1:ms=100000"]])
        for row, started in zip(rows, "10"):
            self.assertTrue(row[2].startswith("me:"), row)
            self.assertEqual(row[3:6], ["1", started, "0"])
            self.assertTrue(0 < int(row[7]) <= 30_000_000_000, row)

    def test_the_server_is_described(self):
        text = self.play("server")
        self.assertIn('"policy":"noeviction","evicts":0,"append_only":0', text)
        self.server("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        self.assertIn('"evicts":1', self.play("server"))
        self.push(1)
        text = self.drain()
        self.assertIn("warning - the server may throw away jobs", text)
        self.assertIn("warning - the server forgets the latest jobs", text)


main()
