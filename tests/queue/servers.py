# SPDX-License-Identifier: MIT
"""Servers that die, refuse, are full, are none; connections that break; bodies of all sizes.

Usage: servers.py [--long]     --long: as many jobs as show whether memory grows, for the suite slow
"""

import resource
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from support import PREFIX, QUEUE, Test, eventually, main, redis_server

DAY = 86400
ROUNDS = 9 if "--long" in sys.argv else 2
if "--long" in sys.argv:
    sys.argv.remove("--long")


class Fake:
    """Answers each connection by a function of its own, which is given the socket."""

    def __init__(self, talk):
        self.talk, self.seen, self.open = talk, 0, []
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        self.url = f"redis://127.0.0.1:{self.listener.getsockname()[1]}/{QUEUE}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.seen += 1
            self.open.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            self.talk(connection)
        except OSError:
            pass
        connection.close()

    def close(self):
        self.listener.close()
        for connection in self.open:
            connection.close()


def replies(*texts):
    """Answers what comes with one text after the other, the last one again and again."""

    def talk(connection):
        left = list(texts)
        while connection.recv(1 << 20):
            connection.sendall(left[0])
            left = left[1:] or left

    return talk


class Broken(Test):
    options = ("--appendonly", "yes", "--appendfsync", "always")

    def test_a_server_that_is_killed_and_started_again_loses_nothing(self):
        worker = self.worker("workers=2", "lease=2000")
        pushing = [
            self.player("push", 1500, f"first={1500 * n}", "patience=60000") for n in range(2)
        ]
        for kill in range(2):
            eventually(lambda: self.server("HGET", PREFIX + "counts", "done") not in
                       (None, *map(str, range(200 * kill + 1))), "some done")
            self.server.kill()
            self.server.start()
        for player in pushing:
            self.assertEqual(player.end(), 0, player.text())
            self.assertEqual(player.text(), "added 1500 known 0 left 0\n")
        eventually(lambda: self.stats()["done"] == 3000, "all done")
        worker.send(signal.SIGTERM)
        self.assertEqual(worker.end(), 0)
        started = self.started()
        self.assertEqual(len(started), 3000)
        self.assertEqual(self.server("HGET", PREFIX + "counts", "added"), "3000")
        # A result whose answer was cut off is told again: only what ran, or was at the worker
        # without a result, may run twice.
        self.assertLessEqual(sum(started.values()), 3000 + 2 * 4)
        self.assert_clean()

    def test_connections_that_are_killed_change_nothing(self):
        worker = self.worker("workers=2", "lease=60000")
        pushing = self.player("push", 4000)
        for _ in range(15):
            self.server("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            time.sleep(0.03)
        self.assertEqual(pushing.end(), 0, pushing.text())
        # The leases are long: what a cut take left behind came back by itself.
        eventually(lambda: self.stats()["done"] == 4000, "all done")
        worker.send(signal.SIGTERM)
        self.assertEqual(worker.end(), 0)
        self.assertEqual(self.started(), {str(n): 1 for n in range(4000)})
        self.assertTrue(worker.lines("disconnected"))
        self.assert_clean()

    def test_handlers_run_on_while_the_server_is_away(self):
        self.push(1, "body=x:ms=1500")
        worker = self.worker("lease=60000")
        eventually(lambda: self.started(), "the start")
        self.server.kill()
        eventually(lambda: self.logged("end"), "the end, without a server")
        self.server.start()
        eventually(lambda: self.stats()["done"] == 1, "its result")
        self.assertEqual(self.logged("end")[0][2], "0")
        self.assertEqual(len(worker.lines("connected")), 2)

    def test_a_worker_told_to_go_without_a_server_goes(self):
        self.push(1, "body=x:ms=300")
        worker = self.worker("patience=500")
        eventually(lambda: self.started(), "the start")
        self.server.kill()
        worker.send(signal.SIGTERM)
        self.assertEqual(worker.end(), 1)
        self.assertRegex(worker.text(), "error ECONN(REFUSED|RESET) ")
        self.server.start()
        self.assertEqual(self.stats()["running"], 1)


class Refused(Test):
    def test_no_server(self):
        url = f"redis://127.0.0.1:{redis_server.free_port()}/{QUEUE}"
        for what in ("push", "serve", "stats"):
            words = (1,) if what == "push" else ()
            text = self.play(what, *words, "patience=300", url=url, status=1)
            self.assertRegex(text, r"error ECONNREFUSED cannot connect to 127\.0\.0\.1:\d+: ")
        text = self.play("stats", "patience=-1", url=f"redis+unix://{self.folder}/none?queue=q",
                         status=1)
        self.assertIn("error ECONNREFUSED cannot connect to", text)
        text = self.play("stats", "patience=-1", url="redis://nosuch.invalid/q", status=1)
        self.assertIn("error EHOSTUNREACH cannot find the host nosuch.invalid: ", text)

    def test_passwords(self):
        self.server("CONFIG", "SET", "requirepass", "right")
        self.assertIn("error EACCES ", self.play("stats", status=1))
        for wrong in (self.server.url(":wrong@"), self.server.url("nobody:right@")):
            for what in ("stats", "serve"):
                text = self.play(what, url=wrong, status=1)
                self.assertIn("error EACCES ", text)
                self.assertNotIn("wrong", text.replace("WRONGPASS", ""))
        self.play("stats", url=self.server.url(":right@"))
        self.play("stats", "password=right")
        secret = Path(self.folder, "secret")
        secret.write_text("right\nand more\n")
        self.play("stats", url=self.server.url(more=f"?password-file={secret}"))
        self.push(1, url=self.server.url("default:right@"))
        self.server("CONFIG", "SET", "requirepass", "p%/@:")
        self.play("serve", "drain=1", url=self.server.url(":p%25%2F%40%3A@"))

    def test_a_user_without_the_right_is_refused(self):
        self.server("ACL", "SETUSER", "some", "on", ">pw", "~other*", "+@all")
        self.assertIn("error EACCES ", self.push_refused(self.server.url("some:pw@")))

    def test_few_rights_are_enough(self):
        """Those that docs/queue.md gives; and without INFO nothing is known of the server."""
        self.server("ACL", "SETUSER", "few", "on", ">pw", f"~{PREFIX}*", "+@all", "-@admin",
                    "-@dangerous", "+info")
        url = self.server.url("few:pw@")
        self.assertIn("added 2 ", self.push(2, "body=#:fail=1", "first_ms=1", "key=#", url=url))
        self.assertIn("warning", self.play("serve", "drain=1", url=url))
        for what in ("pause", "resume", "running", "dead", "retry", "drop", "server"):
            self.play(what, url=url)
        self.assertEqual(self.stats(url=url)["done"], 2)
        self.server("ACL", "SETUSER", "few", "-info")
        self.push(1, url=url)
        self.assertNotIn("warning", self.play("serve", "drain=1", url=url))
        self.assertIn("error EACCES ", self.play("server", url=url, status=1))

    def push_refused(self, url):
        return self.play("push", 1, "patience=100", url=url, status=1)

    def test_a_key_of_another_type(self):
        self.server("SET", PREFIX + "jobs", "a text")
        for text in (self.push_refused(None), self.play("serve", status=1)):
            self.assertIn("error EPROTO ", text)
            self.assertIn("WRONGTYPE", text)
        self.assertEqual(self.server("GET", PREFIX + "jobs"), "a text")

    def test_a_server_that_is_read_only(self):
        self.push(1)
        self.server("REPLICAOF", "127.0.0.1", redis_server.free_port())
        self.assertIn("error EROFS ", self.push_refused(None))
        self.assertIn("error EROFS ", self.play("serve", "patience=100", status=1))
        self.server("REPLICAOF", "NO", "ONE")
        self.drain()
        self.assertEqual(self.started(), {"0": 1})

    def test_a_server_that_is_out_of_memory_takes_no_jobs_but_has_them_done(self):
        self.push(20)
        self.server("CONFIG", "SET", "maxmemory", "1")
        self.assertIn("error ENOSPC ", self.push_refused(None))
        self.drain()
        self.assertEqual(self.started(), {str(n): 1 for n in range(20)})
        self.server("CONFIG", "SET", "maxmemory", "0")
        self.assert_clean()

    def test_a_server_with_too_many_clients_is_asked_again(self):
        self.server("CONFIG", "SET", "maxclients", "1")
        self.assertIn("error EBUSY ", self.push_refused(None))
        self.server("CONFIG", "SET", "maxclients", "100")
        self.push(1)

    def test_a_database_of_its_own(self):
        self.push(2, url=self.server.url(more="?db=3"))
        self.assertEqual(self.server("DBSIZE"), 0)
        self.assertEqual(self.stats(url=self.server.url(more="?db=3"))["queued"], 2)
        self.assertIn("error EPROTO ", self.play("stats", url=self.server.url(more="?db=999"),
                                                 status=1))

    def test_scripts_that_the_server_forgot_are_sent_again(self):
        worker = self.worker("lease=60000")
        eventually(lambda: worker.lines("connected"), "a worker")
        self.server("SCRIPT", "FLUSH")
        self.push(5)
        eventually(lambda: self.stats()["done"] == 5, "all done")
        self.assertEqual(self.started(), {str(n): 1 for n in range(5)})


class Hostile(Test):
    def ask(self, talk, *words, what="stats"):
        fake = Fake(talk)
        self.addCleanup(fake.close)
        words = words or ("patience=200", "reply_timeout=300")
        return self.play(what, *words, url=fake.url, status=1), fake

    def test_what_is_no_redis_server(self):
        for what in ("stats", "serve"):
            text, _ = self.ask(replies(b"HTTP/1.1 400 Bad Request\r\n\r\n"), what=what)
            self.assertRegex(text, "error EPROTO .* does not answer as a Redis server does")

    def test_silence(self):
        for what in ("stats", "serve"):
            text, _ = self.ask(lambda c: c.recv(1) and time.sleep(DAY), what=what)
            self.assertRegex(text, "error ETIMEDOUT .* does not answer")

    def test_silence_after_the_greeting(self):
        def talk(connection):
            connection.recv(1 << 20)
            connection.sendall(b"+PONG\r\n")
            time.sleep(DAY)
        text, _ = self.ask(talk)
        self.assertRegex(text, "error ETIMEDOUT .* does not answer")

    def test_a_server_that_goes_on_loading_is_asked_again(self):
        for what in ("stats", "serve"):
            text, fake = self.ask(replies(b"-LOADING Redis is loading\r\n"), what=what)
            self.assertIn("error EBUSY ", text)
            self.assertGreater(fake.seen, 1)

    def test_a_server_that_wants_a_password(self):
        text, fake = self.ask(replies(b"-NOAUTH Authentication required.\r\n"))
        self.assertIn("error EACCES ", text)
        self.assertEqual(fake.seen, 1)

    def test_replies_that_are_cut(self):
        def talk(connection):
            connection.recv(1 << 20)
            connection.sendall(b"+PONG\r\n")
            connection.recv(1 << 20)
            connection.sendall(b"*16\r\n:1\r\n:2")
        text, fake = self.ask(talk)
        self.assertRegex(text, "error ECONNRESET lost the connection")
        self.assertGreater(fake.seen, 1)

    def test_replies_that_make_no_sense(self):
        for reply in (b"+OK\r\n", b"*0\r\n", b"*-1\r\n", b":5\r\n", b"$-1\r\n", b"*16\r\n" +
                      b"+a\r\n" * 16, b"*1000000000\r\n:1\r\n", b"$99999999999999999999\r\n",
                      b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"):
            text, _ = self.ask(replies(b"+PONG\r\n", reply))
            self.assertRegex(text, "error (EPROTO|ENOMEM|ETIMEDOUT) ", reply)
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        self.assertLess(most, 2 << 20, "KiB: it believed in a thousand million elements")

    def test_takes_that_make_no_sense(self):
        def greeting_then(reply):
            def talk(connection):
                seen = b""
                while not seen.endswith(b"PING\r\n"):
                    seen += connection.recv(1 << 20)
                connection.sendall(b"+OK\r\n" * 12 + b"+PONG\r\n")
                if connection.recv(1 << 20):  # all leases
                    connection.sendall(b"*0\r\n")
                while data := connection.recv(1 << 20):
                    connection.sendall(b"$0\r\n\r\n" * data.count(b"INFO\r\n"))
                    connection.sendall(reply * data.count(b"EVALSHA\r\n"))
            return talk
        for reply in (b"*0\r\n", b"*2\r\n:1\r\n:1\r\n", b"*3\r\n$5\r\nready\r\n:1\r\n:7\r\n",
                      b"*3\r\n$5\r\nready\r\n:1\r\n*5\r\n$30\r\n" + b"1" * 30 +
                      b"\r\n:1\r\n:0\r\n$0\r\n\r\n$1\r\nx\r\n"):
            text, _ = self.ask(greeting_then(reply), what="serve")
            self.assertRegex(text, "error EPROTO .* makes no sense", reply)


class Bodies(Test):
    def test_bodies_that_are_empty_or_hold_zeroes_come_as_they_are(self):
        self.push(1, "body=")
        self.push(1, "body=x", "size=100000")
        self.assertEqual(self.server("HSTRLEN", PREFIX + "job:1", "body"), 0)
        self.assertEqual(self.server("HGET", PREFIX + "job:2", "body"), "x" + "\0" * 99999)
        self.drain()
        self.assertEqual(self.stats()["done"], 2)

    def test_a_body_of_64_mb_comes_through_and_several_come_one_by_one(self):
        for n in range(3):
            self.push(1, f"body={n}", f"size={64 << 20}")
        self.drain("workers=3")
        self.assertEqual(self.stats()["done"], 3)
        self.assertEqual(self.started(), {"0": 1, "1": 1, "2": 1})

    def test_a_body_that_is_too_large_is_refused_and_nothing_is_added(self):
        text = self.play("push", 1, f"size={(256 << 20) + 1}", status=1)
        self.assertIn("error EMSGSIZE ", text)
        self.assertEqual(self.keys(), [])

    def test_the_memory_of_the_server_stays_flat(self):
        def used():
            info = self.server("INFO", "memory")
            return int(info.split("used_memory_dataset:")[1].split()[0])
        self.push(5000, "key=#", "remember=-1")
        self.drain("workers=2", "batch=64")
        before = used()
        for _ in range(ROUNDS):
            self.push(5000, "key=#", "remember=-1")
            self.drain("workers=2", "batch=64")
        self.assertEqual(self.stats()["done"], 5000 * (ROUNDS + 1))
        self.assertLess(used() - before, 200_000)
        self.assert_clean()


main()
