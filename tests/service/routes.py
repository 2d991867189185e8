#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What each route answers."""

import json
import os
import sqlite3
import threading

from support import Case, main


class Documents(Case):
    def test_a_document_is_kept_found_and_deleted(self):
        service = self.start()
        added = self.answers(service.post("/documents", "a weir is a low dam"), 201)
        place = added.headers["Location"]
        self.assertEqual(added.json()["location"], place)
        self.assertEqual(service.get(place).body, b"a weir is a low dam")
        hits = self.answers(service.get("/search?q=low+dam"), 200, degraded=False).json()["hits"]
        self.assertEqual([f"/documents/{hit['id']}" for hit in hits], [place])
        self.assertIn("[low] [dam]", hits[0]["snippet"])
        self.assertEqual(service.ask("DELETE", place).status, 204)
        self.assertEqual(service.get(place).status, 404)
        self.assertEqual(service.ask("DELETE", place).status, 404)
        self.assertEqual(service.get("/search?q=dam").json()["hits"], [])

    def test_numbers_are_never_used_twice(self):
        service = self.start()
        first = service.post("/documents", "one").headers["Location"]
        service.ask("DELETE", first)
        self.assertNotEqual(service.post("/documents", "two").headers["Location"], first)

    def test_what_is_no_document_is_refused(self):
        service = self.start("--max-body", "1000")
        for body in (b"", b"\xff\xfe", b"a\0b", b"\xed\xa0\x80", b"\xc0\x80"):
            self.assertEqual(service.post("/documents", body).status, 400, body)
        self.assertEqual(service.post("/documents", b"x" * 1000).status, 201)
        self.assertEqual(service.post("/documents", b"x" * 1001).status, 413)
        chunks = iter([b"x" * 600, b"x" * 600])
        self.assertEqual(service.post("/documents", chunks).status, 413)

    def test_every_text_comes_back_as_it_was(self):
        service = self.start()
        for text in ("\u20ac \U0001f30a \"quoted\" \\ \x01 \x7f line\nline", "x" * 1048576):
            place = service.post("/documents", text.encode()).headers["Location"]
            self.assertEqual(service.get(place).body.decode(), text)

    def test_words_have_no_meaning_but_their_own(self):
        service = self.start()
        service.post("/documents", "NOT a AND b OR c* NEAR \"x\" (y)")
        for words in ('"', "NOT", "a+AND", "*", "(", "NEAR(a", "text:a", "a%22b", "-a", "^a"):
            self.assertEqual(service.get(f"/search?q={words}").status, 200, words)
        for query in ("", "?q=", "?q=+", "?q=a&limit=0", "?q=a&limit=101", "?q=a&limit=x",
                      "?q=%ff", "?q=%0", "?q=%00", "?limit=5"):
            self.assertEqual(service.get("/search" + query).status, 400, query)

    def test_as_many_hits_as_were_asked_for(self):
        service = self.start()
        for i in range(12):
            service.post("/documents", f"same word {i}")
        self.assertEqual(len(service.get("/search?q=same").json()["hits"]), 10)
        self.assertEqual(len(service.get("/search?q=same&limit=3").json()["hits"]), 3)
        self.assertEqual(len(service.get("/search?q=same&limit=100").json()["hits"]), 12)


class Requests(Case):
    def test_unknown_paths_and_methods(self):
        service = self.start()
        for path in ("/nope", "/documents/", "/documents/x", "/documents/1/2", "/documents/-1",
                     "/documents/99999999999999999999", "//", "/bench/memory"):
            self.assertEqual(service.get(path).status, 404, path)
        answer = service.ask("PUT", "/documents/1")
        self.assertEqual(answer.status, 405)
        self.assertEqual(answer.headers["Allow"], "GET, DELETE")

    def test_a_head_has_no_body(self):
        service = self.start()
        place = service.post("/documents", "text").headers["Location"]
        answer = service.ask("HEAD", place)
        self.assertEqual((answer.status, answer.headers["Content-Length"]), (200, "4"))

    def test_an_id_is_taken_over_if_it_is_harmless(self):
        service = self.start()
        answer = service.get("/healthz", X_Request_Id="my-1.a_B")
        self.assertEqual(answer.headers["X-Request-Id"], "my-1.a_B")
        ids = [service.get("/healthz", X_Request_Id=bad).headers["X-Request-Id"]
               for bad in ("", "a b", "x" * 65, '"}')]
        self.assertEqual(len(set(ids)), 4)
        for id in ids:
            self.assertRegex(id, r"^[0-9a-f]{16}-[0-9a-f]+$")
        service.stop()
        logged = [line["id"] for line in service.lines() if "id" in line]
        self.assertEqual(logged, ["my-1.a_B", *ids])

    def test_one_connection_serves_many(self):
        service = self.start()
        connection = service.connect()
        service.ask("GET", "/healthz", connection=connection)
        before = connection.sock
        for method, path in (("GET", "/nope"), ("POST", "/documents"), ("PUT", "/documents"),
                             ("GET", "/documents/1"), ("GET", "/search?q=x")):
            service.ask(method, path, "x" if method == "POST" else None, connection=connection)
            self.assertIs(connection.sock, before, path)
        connection.close()

    def test_a_request_ends_in_time(self):
        service = self.start("--bench", "--workers", "1", "--timeout-ms", "50")
        self.answers(service.get("/bench/wait?us=30000000"), 504, error="out of time")
        self.answers(service.get("/bench/wait?us=30000000", Timeout_Ms="20"), 504)
        self.answers(service.get("/bench/wait?us=100000", Timeout_Ms="30000"), 200)
        for bad in ("0", "-1", "x", "1.5", "1e3", "99999999999999999999"):
            self.assertEqual(service.get("/bench/wait?us=1", Timeout_Ms=bad).status, 400, bad)

    def test_a_query_in_the_database_ends_with_its_request(self):
        service = self.start("--bench", "--workers", "1", env={"WEIR_SERVICE_FAULT": "db-slow"})
        self.answers(service.get("/search?q=x", Timeout_Ms="20"), 504)
        self.answers(service.get("/search?q=x"), 200)

    def test_a_client_may_ask_so_often(self):
        service = self.start("--rate", "1", "--burst", "3")
        for path in ("/nope", "/search?q=a"):
            for _ in range(1000):
                answer = service.get(path)
                if answer.status == 429:
                    break
            self.assertEqual(answer.status, 429)
            self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
        self.assertEqual(service.get("/healthz").status, 200)


class Tokens(Case):
    GOOD = "0123456789abcdef"

    def test_writes_need_one(self):
        path = self.write("tokens", f"# ours\nold-old-old-old-old\n{self.GOOD}\n")
        service = self.start("--tokens", str(path), open=False)
        for given in ({}, {"Authorization": "Bearer nope"}, {"Authorization": self.GOOD},
                      {"Authorization": "Bearer " + self.GOOD[:-1]},
                      {"Authorization": "Bearer " + self.GOOD + "0"},
                      {"Authorization": "Bearer " + "x" * 3000}, {"Authorization": "Bearer"}):
            answer = service.post("/documents", "text", **given)
            self.assertEqual(answer.status, 401, given)
            self.assertEqual(answer.headers["WWW-Authenticate"], "Bearer")
        for token in (self.GOOD, "old-old-old-old-old"):
            answer = service.post("/documents", "text", Authorization="Bearer " + token)
            self.assertEqual(answer.status, 201)
        self.assertEqual(service.get("/documents/1").status, 200)

    def test_without_a_file_nobody_writes(self):
        service = self.start(open=False)
        self.assertEqual(service.post("/documents", "text").status, 401)

    def test_a_file_that_others_can_read_is_refused(self):
        for mode in (0o604, 0o640, 0o602, 0o620):
            path = self.write("tokens", self.GOOD + "\n", mode)
            self.refuses("--tokens", str(path), words=["chmod 600"])
        self.refuses("--tokens", str(self.write("tokens", "short\n")), words=["tokens"])
        self.refuses("--tokens", str(self.write("tokens", "# none\n")), words=["tokens"])
        self.refuses("--tokens", "missing", words=["missing"])


class Idempotency(Case):
    def test_the_same_key_gets_the_first_answer(self):
        service = self.start()
        first = service.post("/documents", "once", Idempotency_Key="k1")
        again = service.post("/documents", "once", Idempotency_Key="k1")
        self.assertEqual((again.status, again.body), (201, first.body))
        self.assertEqual(len(service.get("/search?q=once").json()["hits"]), 1)
        self.assertEqual(service.post("/documents", "other", Idempotency_Key="k1").status, 422)
        self.assertEqual(service.post("/documents", "x", Idempotency_Key="k" * 129).status, 400)
        job = service.post("/exports", '{"q":"once"}', Idempotency_Key="k2")
        self.assertEqual(service.post("/exports", '{"q":"once"}', Idempotency_Key="k2").body,
                         job.body)
        service.stop()
        service = self.start()
        again = service.post("/documents", "once", Idempotency_Key="k1")
        self.assertEqual((again.status, again.body), (201, first.body))

    def test_at_the_same_time_too(self):
        service = self.start("--workers", "4")
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(
            service.post("/documents", "race", Idempotency_Key="k"))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({(answer.status, answer.body) for answer in answers},
                         {(201, answers[0].body)})
        self.assertEqual(len(service.get("/search?q=race").json()["hits"]), 1)


class Events(Case):
    def follow(self, service, path="/events?topic=documents"):
        connection = service.connect()
        connection.request("GET", path)
        return connection, connection.getresponse()

    def test_readers_are_told_of_each_document(self):
        service = self.start()
        readers = [self.follow(service) for _ in range(3)]
        for _, answer in readers:
            self.assertEqual(answer.headers["Content-Type"], "text/event-stream")
            self.assertEqual(answer.readline(), b": alive\n")
        for text in ("one", "two"):
            service.post("/documents", text)
        for connection, answer in readers:
            got = [answer.readline() for _ in range(9)]
            self.assertEqual([line for line in got if line.startswith(b"data")],
                             [b'data: {"id":1,"size":3}\n', b'data: {"id":2,"size":3}\n'])
            connection.close()

    def test_a_slow_reader_is_told_how_many_it_missed(self):
        service = self.start()
        connection = service.connect()
        connection.connect()
        connection.sock.setsockopt(1, 8, 2048)  # SO_RCVBUF
        connection.request("GET", "/events")
        answer = connection.getresponse()
        missed = 'weir_topic_missed_total{topic="documents"}'
        posts = 0
        while service.metric(missed) == 0:
            for _ in range(100):
                service.post("/documents", "x")
            posts += 100
        told, documents = 0, 0
        while told + documents < posts:
            line = answer.readline()
            if line.startswith(b"data: "):
                data = json.loads(line[6:])
                told += data.get("missed", 0)
                documents += "id" in data
        self.assertGreater(told, 0)
        self.assertEqual(told + documents, posts)
        connection.close()

    def test_there_are_only_so_many_readers(self):
        service = self.start("--subscribers", "1", "--heartbeat-s", "1")
        connection, answer = self.follow(service)
        answer.readline()
        self.assertEqual(service.get("/events").status, 503)
        self.assertEqual(service.get("/events?topic=other").status, 404)
        connection.close()
        # That a reader is gone shows at the next sign of life.
        self.wait_until(lambda: self.can_follow(service), "a free place")

    def can_follow(self, service):
        connection, answer = self.follow(service)
        fine = answer.status == 200
        connection.close()
        return fine

    def test_they_hear_a_sign_of_life_and_the_end(self):
        service = self.start("--heartbeat-s", "1")
        connection, answer = self.follow(service)
        for _ in range(3):
            self.assertEqual(answer.readline(), b": alive\n")
            self.assertEqual(answer.readline(), b"\n")
        service.stop()
        self.assertEqual(answer.read(), b"")
        connection.close()


class Exports(Case):
    def finish(self, service, place, state="done"):
        self.wait_until(lambda: service.get(place).json().get("state") == state, state)
        return service.get(place).json()

    def test_an_export_has_all_that_was_found(self):
        service = self.start()
        for i in range(250):
            service.post("/documents", f'export "{i}"')
        service.post("/documents", "not this one")
        answer = service.post("/exports", '{"q":"export"}')
        self.assertEqual(answer.status, 202)
        job = self.finish(service, answer.headers["Location"])
        self.assertEqual((job["done"], job["total"]), (250, 250))
        result = service.get(job["result"])
        texts = [json.loads(line)["text"] for line in result.body.decode().splitlines()]
        self.assertEqual(texts, [f'export "{i}"' for i in range(250)])
        self.assertEqual(service.ask("DELETE", answer.headers["Location"]).status, 409)

    def test_what_is_no_export_is_refused(self):
        service = self.start()
        for body in ("", "{}", "[]", '{"q":1}', '{"q":""}', '{"q":"a"', '{"q":"a"}x', '{"x":"a"}',
                     '{"q":"\\ud800"}', '{"q":"a\\u0000"}', "q=a", '{"q":"a",}'):
            self.assertEqual(service.post("/exports", body).status, 400, body)
        for path in ("/jobs/1", "/jobs/x", "/exports/1"):
            self.assertEqual(service.get(path).status, 404, path)
        self.assertEqual(service.ask("DELETE", "/jobs/1").status, 404)

    def database(self, *statements):
        """As another program changes it."""
        with sqlite3.connect(self.folder / "test.db") as db:
            for statement in statements:
                db.execute(statement)
        db.close()

    def test_it_goes_on_after_a_restart(self):
        service = self.start()
        for _ in range(3):
            service.post("/documents", "export me")
        place = service.post("/exports", '{"q":"export"}').headers["Location"]
        job = self.finish(service, place)
        whole = service.get(job["result"]).body
        service.stop()
        # As a service leaves it that was killed in the middle: with the first of three.
        first = whole.split(b"\n")[0].decode() + "\n"
        self.database("UPDATE jobs SET state = 'running', done = 1, last = 1",
                      f"UPDATE exports SET part = 1, text = '{first}'")
        service = self.start()
        self.assertEqual(self.finish(service, place)["done"], 3)
        self.assertEqual(service.get(job["result"]).body, whole)

    def test_one_that_fails_is_tried_again(self):
        fault = self.folder / "fault"
        self.start().stop()
        self.database("WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
                      " INSERT INTO documents(text) SELECT 'export ' || i FROM n")
        service = self.start("--breaker-open-ms", "50",
                             env={"WEIR_SERVICE_FAULT": f"db-fail@{fault}"})
        attempts = 1
        while attempts == 1:  # until the fault came while it ran
            place = service.post("/exports", '{"q":"export"}').headers["Location"]
            fault.touch()
            delayed = 'weir_pool_delayed{pool="background"}'
            self.wait_until(lambda: service.metric(delayed) != 1 or
                            service.get(place).status != 200, "an error")
            fault.unlink()
            self.wait_until(lambda p=place: service.get(p).status == 200, "recovery")
            job = self.finish(service, place)
            attempts = job["attempts"]
        self.assertEqual((job["done"], job["total"]), (5000, 5000))
        lines = service.get(job["result"]).body.splitlines()
        self.assertEqual(len(lines), len(set(lines)))
        self.assertEqual(len(lines), 5000)

    def test_what_has_expired_is_gone(self):
        service = self.start()
        service.post("/documents", "export me", Idempotency_Key="k")
        place = service.post("/exports", '{"q":"export"}').headers["Location"]
        result = self.finish(service, place)["result"]
        service.stop()
        self.database("UPDATE jobs SET expires = unixepoch()", "UPDATE answers SET expires = 0")
        service = self.start()
        self.assertEqual([service.get(path).status for path in (place, result)], [404, 404])
        other = service.post("/documents", "another", Idempotency_Key="k")
        self.assertEqual((other.status, other.headers["Location"]), (201, "/documents/2"))

        def left():
            with sqlite3.connect(self.folder / "test.db") as db:
                return db.execute("SELECT (SELECT count(*) FROM jobs),"
                                  " (SELECT count(*) FROM exports)").fetchone()

        self.wait_until(lambda: left() == (0, 0), "the housekeeping")

    def test_it_can_be_cancelled(self):
        service = self.start("--db-slow-ms", "30000", env={"WEIR_SERVICE_FAULT": "db-slow"})
        place = service.post("/exports", '{"q":"a"}').headers["Location"]
        answer = service.ask("DELETE", place)
        self.assertIn(answer.status, (204, 409))
        if answer.status == 204:
            self.finish(service, place, "cancelled")


class Admin(Case):
    def test_what_is_inside_is_on_a_listener_of_its_own(self):
        service = self.start("--bench")
        for path in ("/metrics", "/debug/dump", "/debug/trace"):
            self.assertEqual(service.get(path).status, 404, path)
        self.assertIn(b'pool "request"', service.get("/debug/dump", admin=True).body)
        self.assertEqual(service.metric('service_requests_total{status="404"}'), 3)
        self.assertEqual(service.get("/nope", admin=True).status, 404)
        self.assertEqual(service.post("/metrics", "x", admin=True).status, 400)

    def test_a_timeline_of_some_seconds(self):
        service = self.start("--bench")
        got = []
        tracer = threading.Thread(
            target=lambda: got.append(service.get("/debug/trace?seconds=1", admin=True)))
        tracer.start()
        while tracer.is_alive():
            service.get("/bench/wait?us=1000")
        tracer.join()
        events = got[0].json()
        events = events if isinstance(events, list) else events["traceEvents"]
        self.assertIn("/bench/wait", {event.get("name") for event in events})
        self.assertEqual(service.get("/debug/trace?seconds=61", admin=True).status, 400)


class Plugin(Case):
    def test_it_adds_a_route_and_a_middleware(self):
        service = self.start("--plugin", os.environ["PLUGIN"])
        answer = self.answers(service.get("/hello/you"), 200, hello="you")
        self.assertIn("handler;dur=", answer.headers["Server-Timing"])
        self.assertEqual(self.answers(service.get("/hello/a%2Fb"), 200).json()["hello"], "a/b")

    def test_one_that_does_not_load_is_named(self):
        self.refuses("--plugin", "/nonexistent.so", words=["/nonexistent.so"])
        self.refuses("--plugin", str(self.write("bad.so", "no library")), words=["bad.so"])


if __name__ == "__main__":
    main()
