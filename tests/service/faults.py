#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A slow, a failing, a locked database: the breaker opens, search degrades, all recovers."""

import sqlite3

from support import Case, main


class Faults(Case):
    def start_with(self, fault, *args):
        self.fault = self.folder / "fault"
        return self.start("--breaker-window", "10", "--breaker-open-ms", "200", "--db-acquire-ms",
                          "100", "--db-slow-ms", "100", "--bench", *args,
                          env={"WEIR_SERVICE_FAULT": f"{fault}@{self.fault}"})

    def is_open(self, service):
        return service.get("/stats").json()["breaker"] != "closed"

    def check(self, service, before_open):
        """From a fault that is on to its end."""
        self.fault.touch()
        self.wait_until(lambda: service.get("/search?q=else").status in before_open and
                        self.is_open(service), "an open breaker")
        # Open, or half open with a probe that fails: what is known is told, and marked.
        self.wait_until(lambda: service.get("/search?q=known").json().get("degraded") is True,
                        "a degraded answer")
        answer = service.get("/search?q=known")
        if answer.status == 200 and answer.json()["degraded"]:
            self.assertEqual([hit["id"] for hit in answer.json()["hits"]], [1])
            self.assertIn("Warning", answer.headers)
        self.wait_until(lambda: service.get("/search?q=unknown").status == 503, "a refusal")
        refused = service.post("/documents", "no")
        if refused.status == 503:
            self.assertGreaterEqual(int(refused.headers["Retry-After"]), 1)
        self.assertEqual(service.get("/readyz").status, 200)
        self.assertEqual(service.get("/bench/wait?us=1").status, 200)
        self.assertIn(service.metric("service_breaker_open"), (0, 1))
        self.fault.unlink()
        self.wait_until(lambda: service.get("/search?q=known").json().get("degraded") is False,
                        "recovery")
        self.wait_until(lambda: not self.is_open(service), "a closed breaker")
        self.assertEqual(service.post("/documents", "yes").status, 201)

    def know(self, service):
        service.post("/documents", "known words")
        self.assertEqual(service.get("/search?q=known").json()["degraded"], False)

    def test_it_fails(self):
        service = self.start_with("db-fail")
        self.know(service)
        self.check(service, (500, 503))

    def test_it_is_locked(self):
        service = self.start_with("db-locked")
        self.know(service)
        self.check(service, (503,))

    def test_it_is_slow(self):
        service = self.start_with("db-slow")
        self.know(service)
        self.check(service, (200, 503))

    def test_another_process_holds_the_lock(self):
        service = self.start_with("none")
        self.know(service)
        other = sqlite3.connect(self.folder / "test.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        self.wait_until(lambda: service.post("/documents", "no").status == 503 and
                        self.is_open(service), "an open breaker")
        other.execute("ROLLBACK")
        other.close()
        self.wait_until(lambda: service.post("/documents", "yes").status == 201, "recovery")

    def test_a_client_that_does_not_wait_is_no_failure(self):
        service = self.start_with("db-slow", "--db-slow-ms", "30000")
        self.fault.touch()
        for _ in range(20):
            self.assertEqual(service.get("/search?q=x", Timeout_Ms="1").status, 504)
        self.assertFalse(self.is_open(service))

    def test_a_disk_that_nobody_can_write_to(self):
        service = self.start_with("none")
        self.know(service)
        other = sqlite3.connect(self.folder / "test.db", isolation_level=None)
        other.execute("DROP TABLE documents")
        other.close()
        answer = service.post("/documents", "no")
        self.assertEqual(answer.status, 500)
        id = answer.json()["id"]
        self.assertEqual(service.get("/healthz").status, 200)
        service.stop()
        self.assertTrue(any(id in message for message in service.messages()), id)


if __name__ == "__main__":
    main()
