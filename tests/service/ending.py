#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How it ends, changes, and starts again: nothing that was accepted is lost.

Usage: ending.py [--rounds N]      so many times each end under load; default 2
"""

import http.client
import re
import signal
import sqlite3
import subprocess
import sys
import threading

from support import SERVICE, Case, end_load, main, start_load

ROUNDS = 2


def rounds():
    global ROUNDS
    if "--rounds" in sys.argv:
        at = sys.argv.index("--rounds")
        ROUNDS = int(sys.argv[at + 1])
        del sys.argv[at : at + 2]


class Term(Case):
    def check_end(self, service, counted):
        """What a client saw go away was never accepted: the service knows nothing of it."""
        self.assertLess(len(counted["lost"]), 100, counted)
        logged = {line.get("id") for line in service.lines()}
        self.assertEqual([id for id in counted["lost"] if id in logged], [])
        answered = sum(counted["statuses"].values())
        self.assertEqual(answered + counted["lost_old"] + counted["lost_fresh"], counted["sent"])
        self.assertEqual(set(counted["statuses"]) - {"200", "201", "503"}, set(), counted)

    def test_what_was_accepted_is_answered(self):
        for _ in range(ROUNDS):
            # The log must have a line for each: so few requests that none is dropped.
            service = self.start("--bench", "--workers", "4", "--lame-duck-ms", "200")
            load = start_load(service, "/bench/wait?us=20000", "-c", 40, "-s", 60)
            self.wait_until(lambda: service.get("/stats").json()["answers"]["2xx"] > 100, "load")
            service.send(signal.SIGTERM)
            counted = end_load(load)
            self.assertEqual(service.wait(), 0, service.messages())
            self.check_end(service, counted)
            self.assertEqual(service.messages(), [])

    def test_it_is_not_ready_before_it_stops_to_accept(self):
        service = self.start("--bench", "--lame-duck-ms", "3000")
        connection = service.connect()
        self.assertEqual(service.ask("GET", "/readyz", connection=connection).status, 200)
        service.send(signal.SIGTERM)
        self.wait_until(lambda: service.get("/readyz").status == 503, "lame duck")
        self.assertEqual(service.get("/healthz").status, 200)
        answer = service.get("/bench/wait?us=1000")
        self.assertEqual((answer.status, answer.headers["Connection"]), (200, "close"))
        connection.close()
        self.assertEqual(service.wait(), 0)

    def test_what_takes_too_long_is_told_so(self):
        service = self.start("--bench", "--grace-ms", "100")
        got = []
        client = threading.Thread(
            target=lambda: got.append(service.get("/bench/wait?us=30000000")))
        client.start()
        self.wait_until(lambda: service.get("/stats").json()["in_flight"] > 1, "the request")
        service.send(signal.SIGTERM)
        client.join()
        self.assertEqual(service.wait(), 1)
        self.assertEqual(got[0].status, 503)
        self.assertIn("shutting down", got[0].json()["error"])
        self.assertIn("1 requests lost", service.messages()[-1])

    def test_at_once_when_there_is_nothing_to_do(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            service = self.start()
            service.send(number)
            self.assertEqual(service.wait(), 0)

    def test_jobs_and_readers_do_not_hold_it_up(self):
        service = self.start("--db-slow-ms", "30000", env={"WEIR_SERVICE_FAULT": "db-slow"})
        connection = service.connect()
        connection.request("GET", "/events")
        connection.getresponse().readline()
        self.assertEqual(service.post("/exports", '{"q":"x"}').status, 202)
        service.send(signal.SIGTERM)
        self.assertEqual(service.wait(), 0, service.messages())
        connection.close()


class Kill(Case):
    def test_what_got_a_201_is_there(self):
        for _ in range(ROUNDS):
            service = self.start("--workers", "4")
            known, lock, clients = [], threading.Lock(), []

            def post(number, service=service, known=known, lock=lock):
                n = 0
                while True:
                    text = f"kept {number} {n}"
                    try:
                        answer = service.post("/documents", text)
                    except (OSError, http.client.HTTPException):
                        return
                    if answer.status == 201:
                        with lock:
                            known.append((answer.headers["Location"], text))
                    n += 1

            for number in range(4):
                clients.append(threading.Thread(target=post, args=(number,)))
                clients[-1].start()
            self.wait_until(lambda: len(known) > 100, "some documents")
            service.send(signal.SIGKILL)
            service.wait()
            for client in clients:
                client.join()
            service = self.start()
            for place, text in known:
                self.assertEqual(service.get(place).body.decode(), text)
            self.assertGreater(len(service.get("/search?q=kept&limit=100").json()["hits"]), 99)
            service.stop()
            with sqlite3.connect(self.folder / "test.db") as db:
                self.assertEqual(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            db.close()


class Change(Case):
    def test_settings_are_read_again_without_a_lost_request(self):
        config = self.write("config", "workers = 2\ncapacity = 64\n")
        service = self.start("--bench", "--shed=no", "--config", str(config))
        load = start_load(service, "/bench/wait?us=1000", "-c", 16, "-s", 60)
        for workers in (3, 1, 4):
            config.write_text(f"workers = {workers}\ncapacity = {32 + workers}\nrate = 0\n"
                              f"breaker-window = {20 + workers}\n")
            service.send(signal.SIGHUP)
            self.wait_until(lambda w=workers: service.get("/stats").json()["workers"] == w, "it")
        before = service.get("/stats").json()["answers"]["2xx"]
        self.wait_until(lambda: service.get("/stats").json()["answers"]["2xx"] > before + 100,
                        "answers by the new workers")
        page = service.get("/metrics", admin=True).body.decode()
        states = re.findall(r'^weir_pool_workers{pool="requests",state="\w+"} (\d+)$', page, re.M)
        self.assertEqual(sum(map(int, states)), 4, states)
        service.send(signal.SIGTERM)
        counted = end_load(load)
        self.assertEqual(service.wait(), 0)
        self.assertEqual(set(counted["statuses"]) - {"200", "503"}, set(), counted)

    def test_a_changed_file_is_enough(self):
        config = self.write("config", "workers = 1\n")
        service = self.start("--config", str(config))
        config.write_text("workers = 3\n")
        self.wait_until(lambda: service.get("/stats").json()["workers"] == 3, "the change")

    def test_a_bad_file_changes_nothing(self):
        config = self.write("config", "workers = 2\n")
        tokens = self.write("tokens", "0123456789abcdef\n")
        service = self.start("--config", str(config), "--tokens", str(tokens), open=False)
        bad = ["workers = 3\ncapacity = 0\n", "workers = 3\nnonsense = 1\n", "workers = 3\nrate",
               "workers = 3\nmax-body = 5\n"]
        for n, text in enumerate(bad):
            config.write_text(text)
            service.send(signal.SIGHUP)
            self.wait_until(lambda n=n: len(service.messages()) > n, "the complaint")
            # It may also be read once more because the file was changed.
            self.wait_until(lambda: service.get("/stats").json()["workers"] == 2, "two workers")
        config.unlink()
        service.send(signal.SIGHUP)
        self.wait_until(lambda: "No such file" in service.messages()[-1], "the complaint")
        said = "\n".join(service.messages())
        for words in ("capacity is '0'", "'nonsense'", "NAME = VALUE", "max-body cannot be"):
            self.assertIn(words, said)
        good = {"Authorization": "Bearer 0123456789abcdef"}
        self.assertEqual(service.post("/documents", "x", **good).status, 201)

    def test_tokens_are_replaced(self):
        tokens = self.write("tokens", "0123456789abcdef\n")
        service = self.start("--tokens", str(tokens), open=False)
        tokens.write_text("fedcba9876543210\n0123456789abcdef\n")
        service.send(signal.SIGHUP)
        new, old = "Bearer fedcba9876543210", "Bearer 0123456789abcdef"
        self.wait_until(lambda: service.post("/documents", "x", Authorization=new).status == 201,
                        "the new token")
        self.assertEqual(service.post("/documents", "x", Authorization=old).status, 201)
        tokens.write_text("fedcba9876543210\n")
        service.send(signal.SIGHUP)
        self.wait_until(lambda: service.post("/documents", "x", Authorization=old).status == 401,
                        "the end of the old one")

    def test_quit_shows_what_is_going_on(self):
        service = self.start()
        service.send(signal.SIGQUIT)
        self.wait_until(lambda: 'pool "background"' in service.errors(), "the dump")
        self.assertEqual(service.get("/healthz").status, 200)


class Settings(Case):
    def test_flags_come_before_the_environment_and_that_before_the_file(self):
        config = self.write("config", "# a comment\n\n workers = 1 \ncapacity=11\nburst = 21\n")
        service = self.start("--config", str(config), "--workers", "3",
                             env={"WEIR_SERVICE_WORKERS": "2", "WEIR_SERVICE_CAPACITY": "12"})
        stats = service.get("/stats").json()
        self.assertEqual((stats["workers"], stats["capacity"]), (3, 12))

    def test_what_is_wrong_is_named(self):
        config = self.write("config", "workers = 1\nnonsense = 2\n")
        for args, words in (
            (["--nonsense", "1"], ["--nonsense"]),
            (["--workers", "x"], ["workers", "'x'", "0..1024"]),
            (["--workers", "1025"], ["1025"]),
            (["--workers"], ["--workers", "value"]),
            (["--workers="], ["workers"]),
            (["--open=maybe"], ["open", "yes or no"]),
            (["--config", str(config)], ["config:2", "'nonsense'"]),
            (["--config", "missing"], ["missing", "No such file"]),
            (["--listen", "x" * 300], ["listen", "too long"]),
            (["extra"], ["extra"]),
        ):
            self.refuses("--check", *args, words=words, status=2)
        self.refuses("--check", words=["WEIR_SERVICE_RATE", "'-1'"], status=2,
                     env={"WEIR_SERVICE_RATE": "-1"})
        self.refuses("--check", "--workers", "2", status=0)

    def test_the_help_lists_all_of_them(self):
        said = subprocess.run([SERVICE, "--help"], capture_output=True, check=True).stdout
        for name in (b"--listen", b"--tokens", b"--grace-ms", b"--breaker-open-ms"):
            self.assertIn(name, said)

    def test_what_it_cannot_have_is_named(self):
        first = self.start()
        taken = f"127.0.0.1:{first.port}"
        self.refuses("--listen", taken, "--admin", "127.0.0.1:0", words=[taken, "in use"])
        self.refuses("--listen", "127.0.0.1:0", "--admin", taken, words=[taken, "in use"])
        for bad in ("here", "localhost:80", "127.0.0.1:x", "127.0.0.1"):
            self.refuses("--listen", bad, "--admin", "127.0.0.1:0", words=[bad])
        self.refuses("--database", "/nonexistent/x.db", "--listen", "127.0.0.1:0", "--admin",
                     "127.0.0.1:0", words=["/nonexistent/x.db"])
        self.refuses("--database", "/dev/full", "--listen", "127.0.0.1:0", "--admin",
                     "127.0.0.1:0", words=["/dev/full"])
        self.write("text.db", "this is no database" * 1000)
        self.refuses("--database", "text.db", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0",
                     words=["text.db"])


if __name__ == "__main__":
    rounds()
    main()
