#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plays the clients of line_server: refusal, disconnect, shutdown.

Usage: line_server.py PROGRAM
"""

import signal
import socket
import subprocess
import sys

PLACES = 4
ENDLESS = b"1000000000000\n"
PATIENCE = 50


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.lines = self.socket.makefile("rb")

    def ask(self, line):
        self.socket.sendall(line)

    def answer(self):
        """The next line; nothing if the server has ended the connection."""
        try:
            return self.lines.readline()
        except ConnectionResetError:
            return b""

    def await_under_way(self, n):
        """Until so many requests are."""
        answer = None
        while answer != b"%d under way\n" % n:
            self.ask(b"?\n")
            answer = self.answer()


def main():
    server = subprocess.Popen([sys.argv[1], str(PLACES), "100"], stdout=subprocess.PIPE)
    try:
        port = int(server.stdout.readline())

        # A request, and two that are sent at once; one in pieces.
        client = Client(port)
        client.ask(b"10\n")
        assert client.answer() == b"4 primes\n"
        client.ask(b"100\n1000\n")
        assert client.answer() == b"25 primes\n"
        assert client.answer() == b"168 primes\n"
        client.ask(b"1")
        client.ask(b"0\n")
        assert client.answer() == b"4 primes\n"

        # One request more than there are places is refused.
        busy = [Client(port) for _ in range(PLACES)]
        for other in busy:
            other.ask(ENDLESS)
        client.await_under_way(PLACES)
        client.ask(b"10\n")
        assert client.answer() == b"busy\n"

        # Clients that go away give their places back, whether their tasks run or are queued.
        for other in busy:
            other.socket.shutdown(socket.SHUT_RDWR)
        client.await_under_way(0)

        # A line that is too long ends the connection, and no other.
        chatterer = Client(port)
        chatterer.ask(b"1" * 1000)
        assert chatterer.answer() == b""

        # Told to stop, it drops those who ask for nothing at once, and cancels the others in time.
        working = [Client(port) for _ in range(PLACES)]
        for other in working:
            other.ask(ENDLESS)
        client.await_under_way(PLACES)
        server.send_signal(signal.SIGTERM)
        assert client.answer() == b""
        for other in working:
            assert other.answer() == b"cancelled\n"
            assert other.answer() == b""
        assert server.wait(PATIENCE) == 0
    finally:
        server.kill()


main()
