#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks traces that were recorded by a program: that they are JSON, whole and cut anywhere, in the
order of time; that slices of a thread lie within each other; that each run is there, and has an
arrow from its submit; that counters stay in their bounds; and that what is missing was counted.

Usage: check.py RECORD EXAMPLE    (tests/timeline/record.c and examples/timeline.c)
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from decimal import Decimal
from pathlib import Path

TASKS = 10000
EVENTS_FEW = 256

problems = []


def expect(condition, sentence):
    if not condition and len(problems) < 20:
        problems.append(sentence)


def parse(text):
    return json.loads(text, parse_float=Decimal)


def ns(us):
    return int(us * 1000)


def check_text(text):
    """Each line is an object, so that a file cut after any of them is JSON with a bracket."""
    lines = text.split("\n")
    expect(lines[0] == "[" and lines[-2:] == ["]", ""], "does not begin and end as an array")
    for number, line in enumerate(lines[1:-2], 2):
        last = number == len(lines) - 2
        expect(line.endswith(",") != last, f"line {number}: the comma")
        try:
            found = json.loads(line.removesuffix(","))
            expect(isinstance(found, dict), f"line {number}: no object")
        except json.JSONDecodeError as error:
            expect(False, f"line {number} is no JSON: {error}")


def check_cut_at_each_byte(data):
    """Only the last line may be broken, wherever the file ends."""
    whole = parse(data.decode())
    for size in range(1, len(data)):
        text = data[:size].decode(errors="ignore")
        kept = text.rpartition(",\n")[0] if ",\n" in text else "["
        found = parse(kept + "]")
        expect(found == whole[: len(found)], f"cut after {size} bytes it says something else")


def check_order(events):
    last = 0
    for event in events:
        expect(type(event["pid"]) is int and type(event["tid"]) is int, f"{event}: pid, tid")
        expect(ns(event["ts"]) >= last, f"{event}: is before the one before it")
        last = ns(event["ts"])
    named = {e["tid"] for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    expect({e["tid"] for e in events[1:]} <= named, "a thread has no name")


def check_nesting(events):
    open_ends = {}
    for event in (e for e in events if e["ph"] == "X"):
        begin, end = ns(event["ts"]), ns(event["ts"]) + ns(event["dur"])
        ends = open_ends.setdefault(event["tid"], [])
        while ends and ends[-1] < begin:
            ends.pop()
        while ends and ends[-1] == begin and end > ends[-1]:
            ends.pop()
        expect(not ends or end <= ends[-1], f"{event}: ends after what it began in")
        ends.append(end)


def check_arrows(events, all_there):
    slices = {(e["cat"], e["tid"], e["ts"]) for e in events if e["ph"] == "X"}
    starts = {e["id"]: e for e in events if e["ph"] == "s"}
    ends = [e for e in events if e["ph"] == "f"]
    expect(len(starts) == sum(e["ph"] == "s" for e in events), "two arrows have one number")
    expect(max(starts, default=0) < 2**53, "a number that a double has not")
    for start in starts.values():
        expect(("submit", start["tid"], start["ts"]) in slices, f"{start}: not in a submit")
    for end in ends:
        expect(("task", end["tid"], end["ts"]) in slices, f"{end}: not at a run")
        start = starts.get(end["id"])
        expect(start is not None or not all_there, f"{end}: begins nowhere")
        expect(start is None or start["ts"] <= end["ts"], f"{end}: before it begins")
    times = Counter(e["id"] for e in ends)
    expect(all(n == 1 for n in times.values()), "an arrow ends twice")
    return len(ends)


def check_counters(events, capacity, workers):
    for event in (e for e in events if e["ph"] == "C"):
        value = event["args"]["value"]
        if event["name"].endswith(" queued"):
            expect(0 <= value <= capacity, f"{event}: more than the capacity")
        if event["name"].endswith(" busy"):
            expect(0 <= value <= workers + 1, f"{event}: more than threads")


def check(text, said):
    all_there = said["lost"] == 0
    check_text(text)
    events = parse(text)
    expect(events[0]["args"] == {"lost": said["lost"]}, "does not say what is lost")
    check_order(events)
    check_nesting(events)
    arrows = check_arrows(events, all_there)
    check_counters(events, said["capacity"], said["workers"])
    runs = [e for e in events if e["ph"] == "X" and e["cat"] == "task"]
    moments = Counter(e["name"] for e in events if e["ph"] == "i")
    if all_there:
        expect(len(runs) == said["runs"], f"{len(runs)} runs, not {said['runs']}")
        expect(all(e["args"]["end"] in ("done", "failed") for e in runs), "a run without an end")
        expect(all(e["args"]["wait_us"] >= 0 for e in runs), "a run without its wait")
        expect(moments["rejected"] == said["rejected"], "not all that was rejected is there")
        last = {e["name"]: e["args"]["value"] for e in events if e["ph"] == "C"}
        expect(all(v == 0 for n, v in last.items() if n.endswith((" busy", " queued"))),
               f"at the end there is something left: {last}")
    else:
        expect(len(runs) < said["runs"], "nothing is missing, and yet events were lost")
    return len(events), len(runs), arrows, moments


def record(program, *args):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        output = subprocess.run([program, path, *map(str, args)], check=True,
                                stdout=subprocess.PIPE, text=True).stdout
        return output, path.read_bytes()


def main():
    recorder, example = sys.argv[1:]
    output, data = record(recorder, TASKS, 0)
    said = json.loads(output)
    expect(said["lost"] == 0 and said["runs"] >= TASKS, f"not what was to be recorded: {said}")
    count, runs, arrows, moments = check(data.decode(), said)
    names = {e["name"] for e in parse(data.decode())}
    for name in ("with \"quotes\"", "line\nbreak", "back\\slash", "\u00fc\u20ac", "",
                 "\ufffd\ufffd", "longer than what is kept of a n", "p\"q queued"):
        expect(name in names, f"the name {name!r} is not there")
    expect(moments["retry"] == 2, f"{moments['retry']} retries")
    expect(arrows > 0.9 * TASKS, f"{arrows} arrows only")
    print(f"{count} lines, {runs} runs, {arrows} arrows")

    output, data = record(recorder, TASKS, EVENTS_FEW)
    said = json.loads(output)
    expect(said["lost"] > 0, "nothing was lost")
    print("%d lines, %d runs, %d arrows" % check(data.decode(), said)[:3], said["lost"], "lost")

    check_cut_at_each_byte(record(recorder, 0, 0)[1])

    output, data = record(example)
    check(data.decode(), {"lost": 0, "runs": 32, "rejected": 0, "workers": 3, "capacity": 4})

    print(*problems, sep="\n", end="\n" if problems else "")
    return 1 if problems else 0


sys.exit(main())
