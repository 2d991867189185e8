#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Clients that do not behave: nobody else notices.

Usage: hostile.py [--all]      --all: also the long ones
"""

import resource
import select
import signal
import socket
import sys
import time
from pathlib import Path

from support import DEADLINE, Case, is_sanitized, load, main

ALL = "--all" in sys.argv
if ALL:
    sys.argv.remove("--all")


def read_all(sock):
    """Until the other side has closed."""
    got = b""
    try:
        while True:
            piece = sock.recv(65536)
            if not piece:
                return got
            got += piece
    except OSError:
        return got


def state_of(pid):
    """The letter that ps would show."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def raise_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Broken(Case):
    def check(self, service, data, wanted=(b"4",)):
        return self.check_all(service, [data], wanted)[0]

    def check_all(self, service, datas, wanted):
        """All of them at once, so that those which are cut in the end are cut together."""
        socks, answers = [service.raw() for _ in datas], []
        for sock, data in zip(socks, datas):
            try:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        for sock, data in zip(socks, datas):
            got = read_all(sock)
            sock.close()
            if got:
                self.assertTrue(got.startswith(b"HTTP/1.1 "), got[:200])
                self.assertIn(got[9:10], wanted, (data[:100], got[:200]))
            answers.append(got)
        self.assertEqual(service.get("/healthz").status, 200)
        return answers

    # That a client will send no more MHD does not notice: the connection lasts as long as it may.
    SOON = ("--head-s", "1", "--body-s", "1", "--idle-s", "1")

    def test_requests_that_are_none(self):
        service = self.start(*self.SOON)
        datas = (b"", b"\n", b"\r\n\r\n", b"GET\r\n\r\n", b"GET /\r\n\r\n", b"\0\0\0\0\r\n\r\n",
                 b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", b"GET  /nope  HTTP/1.1\r\n\r\n",
                 b"GET /nope HTTP/1.1\r\n: x\r\n\r\n", b"\xff" * 100 + b"\r\n\r\n",
                 b"GET /nope HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
                 b"POST /documents HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\nabc",
                 b"POST /documents HTTP/1.1\r\nHost: x\r\nContent-Length: "
                 b"99999999999999999999\r\n\r\n",
                 b"POST /documents HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                 b"Content-Length: 2000000\r\n\r\n",
                 b"POST /documents HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                 b"zz\r\n",
                 b"GET / HT" + b"\0" * 5000)
        self.check_all(service, datas, (b"4", b"5"))

    def test_bodies_that_do_not_come(self):
        service = self.start(*self.SOON)
        head = b"POST /documents HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
        self.check_all(service, (head, head + b"12345"), (b"4",))
        self.assertEqual(service.get("/documents/1").status, 404)
        self.wait_until(lambda: service.metric("service_body_bytes") == 0, "no bytes in flight")

    def test_paths_that_lead_nowhere(self):
        service = self.start()
        for path in ("/../../etc/passwd", "/documents/../1", "/documents/%00", "/documents/1%00",
                     "/documents/%2e%2e%2f", "/%2fdocuments", "/documents/%zz", "/documents/%",
                     "/documents/1%0d%0aSet-Cookie:x", "/search?q=%00", "/search?%zz=1",
                     "/" + "a" * 3000, "/search?" + "&".join(f"a{i}=1" for i in range(9)),
                     "/search?q=%ff%fe"):
            answer = service.get(path)
            self.assertIn(answer.status, (400, 404), path)
            self.assertNotIn("Set-Cookie", answer.headers)

    def test_heads_and_bodies_that_are_too_large(self):
        service = self.start("--max-bodies", "2000000", "--idle-s", "1")
        many = b"".join(b"X-%d: y\r\n" % i for i in range(5000))
        for data in (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 1048576 + b"\r\n\r\n",
                     b"GET /" + b"y" * 1048576 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n"):
            self.check(service, data)
        answer = self.check(service, b"POST /documents HTTP/1.1\r\nHost: x\r\n"
                                     b"Content-Length: 2000000000\r\n\r\n" + b"x" * 100)
        self.assertIn(b" 413 ", answer.split(b"\r\n")[0])
        # All bodies together: two fit, the third is told to come again.
        head = b"POST /documents HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"
        socks = [service.raw(head) for _ in range(2)]
        self.wait_until(lambda: service.metric("service_body_bytes") == 1800000, "two bodies")
        answer = self.check(service, head, (b"5",))
        self.assertIn(b" 503 ", answer.split(b"\r\n")[0])
        self.assertIn(b"Retry-After", answer)
        for sock in socks:
            sock.close()
        self.wait_until(lambda: service.metric("service_body_bytes") == 0, "their end")

    def test_answers_that_nobody_reads_are_bounded(self):
        service = self.start("--max-body", "10000000", "--max-bodies", "20000000")
        place = service.post("/documents", b"x" * 8000000).headers["Location"]
        request = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % place.encode()
        socks = []
        for n in (1, 2):
            socks.append(service.raw(request))
            self.wait_until(lambda n=n: service.metric("service_body_bytes") == n * 8000000, "it")
        answer = service.get(place)
        self.assertEqual(answer.status, 503, answer)
        self.assertIn("Retry-After", answer.headers)
        self.assertEqual(service.post("/documents", "small").status, 201)
        for sock in socks:
            sock.close()
        self.wait_until(lambda: service.metric("service_body_bytes") == 0, "their end")
        self.assertEqual(len(service.get(place).body), 8000000)

    def test_one_after_the_other_without_waiting(self):
        service = self.start("--bench", "--workers", "4")
        paths = ["/healthz", "/bench/wait?us=5000", "/nope", "/bench/wait?us=1", "/search?q=a"]
        sock = service.raw(b"".join(
            b"GET %s HTTP/1.1\r\nHost: x\r\nX-Request-Id: n%d\r\n%s\r\n" %
            (path.encode(), n, b"Connection: close\r\n" if n == 19 else b"")
            for n, path in enumerate(paths * 4)))
        got = read_all(sock)
        sock.close()
        ids = [line.split(b": ")[1] for line in got.split(b"\r\n")
               if line.lower().startswith(b"x-request-id")]
        self.assertEqual(ids, [b"n%d" % n for n in range(20)])

    def test_clients_that_go_away_do_not_matter(self):
        service = self.start("--bench", "--workers", "2")
        for _ in range(50):
            service.raw(b"GET /bench/wait?us=2000 HTTP/1.1\r\nHost: x\r\n\r\n").close()
        self.wait_until(lambda: service.metric("service_requests_in_flight") == 0, "their end")
        self.assertEqual(service.get("/healthz").status, 200)


class Slow(Case):
    def test_who_sends_a_byte_now_and_then_is_cut(self):
        many = 500 if ALL else 100
        service = self.start("--bench", "--head-s", "2", "--body-s", "2", "--idle-s", "60")
        raise_limit()
        request = b"GET /healthz HTTP/1.1\r\nHost: " + b"x" * 4000
        body = b"POST /documents HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n" + b"x" * 4000
        second = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + request
        open_ones = {}
        for n in range(many):
            text = (request, body, second)[n % 3]
            start = text.index(b"Host: x") + 7 if n % 3 == 0 else text.rindex(b"x" * 4000)
            open_ones[service.raw(text[:start])] = text[start:]
        ends, sent = time.monotonic() + DEADLINE, 0
        while open_ones and time.monotonic() < ends:
            sent += 1
            for sock in list(open_ones):
                try:
                    sock.setblocking(False)
                    while True:
                        if not sock.recv(4096):
                            raise ConnectionResetError
                except BlockingIOError:
                    pass
                except OSError:
                    sock.close()
                    del open_ones[sock]
                    continue
                try:
                    sock.send(open_ones[sock][sent : sent + 1])
                except OSError:
                    pass
            self.assertEqual(service.get("/bench/wait?us=100").status, 200)
            select.select([], [], [], 0.2)
        self.assertEqual(len(open_ones), 0, "some were never cut")

    def test_many_that_are_silent_cost_little(self):
        many = 10000 if ALL else 1000
        hard = raise_limit()
        if hard < many + 200:
            self.skipTest(f"only {hard} descriptors")
        service = self.start("--bench", "--max-connections", str(many + 100), "--idle-s", "600")
        before = service.rss()
        request = b"GET /bench/memory HTTP/1.1\r\nHost: x\r\n\r\n"
        socks = []
        for n in range(many):
            socks.append(service.raw(request))
            if n % 500 == 0:
                self.assertEqual(service.get("/bench/wait?us=100").status, 200)
        for sock in socks:
            got = b""
            while len(got) < 1024:
                got += sock.recv(4096)
            self.assertTrue(got.startswith(b"HTTP/1.1 200"))
        if not is_sanitized():
            self.assertLess((service.rss() - before) * 1024 / many, 8000, "bytes for each")
            self.assertLess(service.rss(), 80 * 1024)
        print(f"{many} connections: {service.rss()} KiB, {before} before", file=sys.stderr)
        self.assertEqual(service.get("/bench/wait?us=100").status, 200)
        for sock in socks[:: many // 100]:
            sock.sendall(request)
            self.assertTrue(sock.recv(100).startswith(b"HTTP/1.1 200"))
        for sock in socks:
            sock.close()

    def test_all_that_are_ready_at_once_are_served(self):
        """libmicrohttpd asks for 128 events at a time: so many at one look, and twice as many."""
        raise_limit()
        request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        for many in (127, 128, 129, 256):
            service = self.start()
            socks = [service.raw(request) for _ in range(many)]
            for sock in socks:
                self.assertTrue(sock.recv(4096).startswith(b"HTTP/1.1 200"), many)
            service.send(signal.SIGSTOP)
            self.wait_until(lambda pid=service.pid: state_of(pid) == "T", "the stop")
            for sock in socks:
                sock.sendall(request)
            service.send(signal.SIGCONT)
            for sock in socks:
                self.assertTrue(sock.recv(4096).startswith(b"HTTP/1.1 200"), many)
                sock.close()
            service.stop()

    def test_who_finds_no_descriptor_waits(self):
        service = self.start()
        request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        connection = service.connect()
        self.assertEqual(service.ask("GET", "/healthz", connection=connection).status, 200)
        most = max(int(fd.name) for fd in Path(f"/proc/{service.pid}/fd").iterdir())
        resource.prlimit(service.pid, resource.RLIMIT_NOFILE, (most + 4, most + 4))
        socks = [service.raw(request) for _ in range(20)]
        while socks:
            self.assertEqual(service.ask("GET", "/healthz", connection=connection).status, 200)
            ready, _, _ = select.select(socks, [], [], DEADLINE)
            self.assertNotEqual(ready, [], f"{len(socks)} still wait")
            for sock in ready:
                self.assertTrue(sock.recv(4096).startswith(b"HTTP/1.1 200"))
                sock.close()
                socks.remove(sock)
        connection.close()

    def test_more_connections_than_allowed_wait(self):
        service = self.start("--max-connections", "10")
        socks = [service.raw() for _ in range(10)]
        late = service.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        for sock in socks:
            sock.close()
        self.assertIn(b"200 OK", read_all(late))
        late.close()


class Memory(Case):
    def test_it_stays_flat(self):
        if is_sanitized():
            self.skipTest("a sanitizer keeps what was freed")
        n = 20 if ALL else 2
        service = self.start("--bench")
        load(service, "/bench/wait?us=1", "-c", 20, "-s", 1)
        before = service.rss()
        counted = load(service, "/bench/wait?us=1", "-c", 20, "-s", n)
        self.assertLess(service.rss(), before + 2048, counted)
        print(f"{counted['sent']} requests: {before} -> {service.rss()} KiB", file=sys.stderr)


if __name__ == "__main__":
    main()
