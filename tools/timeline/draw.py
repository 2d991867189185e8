#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws a trace that weir_trace_stop wrote, as a viewer shows it: counters, then a track for each
thread with its slices within each other, arrows from submits to runs, and marks for moments.

Usage: draw.py TRACE.json PICTURE.svg [FIRST LAST]      FIRST, LAST: in milliseconds of the trace
"""

import json
import re
import sys
import zlib
from html import escape

WIDTH, GUTTER, MARGIN = 1200, 116, 14
SLICE, GAP, COUNTER, AXIS = 17, 9, 34, 26
LETTER = 5.6  # the width of one, about
COLOURS = [
    "#c0504d", "#3f6fb5", "#5a8f3c", "#7f5fa8", "#2f8f9d", "#b9772b", "#a64d79", "#4a7c6f",
    "#6b7f2a", "#8a5a44", "#4f5fa0", "#9a3f5f",
]
SUBMIT, BLOCKED = "#7b8794", "#c9cdd2"


def read(path):
    """The events of a trace; of one that was cut short, those up to there."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return json.loads(text.rpartition(",\n")[0] + "]")


def colour(slice_):
    if slice_["cat"] == "blocked":
        return BLOCKED
    if slice_["cat"] == "submit":
        return SUBMIT
    return COLOURS[zlib.crc32(re.sub(r"\d+", "", slice_["name"]).encode()) % len(COLOURS)]


def depths(slices):
    """How deep each slice lies; they come in the order of their beginnings."""
    open_, found = [], []
    for slice_ in slices:
        while open_ and slice_["ts"] >= open_[-1] - 1e-4:
            open_.pop()
        found.append(len(open_))
        open_.append(slice_["ts"] + slice_["dur"])
    return found


class Picture:
    def __init__(self, events, first, last):
        self.events = events
        self.origin = min(e["ts"] for e in events)
        ends = [e["ts"] + e.get("dur", 0) for e in events]
        self.first = self.origin + first * 1000
        self.last = self.origin + last * 1000 if last is not None else max(ends)
        self.out, self.y = [], AXIS + 8
        self.places = {}  # of each slice: (thread, ts) to (y, depth)

    def x(self, ts):
        share = (ts - self.first) / (self.last - self.first)
        return GUTTER + min(max(share, 0), 1) * (WIDTH - GUTTER - MARGIN)

    def put(self, text):
        self.out.append(text)

    def label(self, text, y):
        self.put(f'<text x="{GUTTER - 10}" y="{y:.1f}" class="track">{escape(text)}</text>')

    def separator(self):
        self.put(f'<line x1="0" x2="{WIDTH}" y1="{self.y:.1f}" y2="{self.y:.1f}" class="rule"/>')

    def shown(self, event):
        return event["ts"] <= self.last and event["ts"] + event.get("dur", 0) >= self.first

    def axis(self, bottom):
        span = (self.last - self.first) / 1000
        step = next(s * 10**p for p in range(-3, 6) for s in (1, 2, 5) if span / (s * 10**p) <= 12)
        tick = 0.0
        ticks = []
        while tick <= (self.last - self.origin) / 1000 + 1e-9:
            if tick >= (self.first - self.origin) / 1000 - 1e-9:
                x = self.x(self.origin + tick * 1000)
                ticks.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{AXIS - 6}" y2="{bottom}"/>')
                ticks.append(f'<text x="{x:.1f}" y="{AXIS - 11}" class="tick">{tick:g} ms</text>')
            tick += step
        return f'<g class="grid">{"".join(ticks)}</g>'

    def counter(self, name):
        points = [(e["ts"], e["args"]["value"]) for e in self.events
                  if e["ph"] == "C" and e["name"] == name]
        most = max(max(v for _, v in points), 1)
        bottom, height = self.y + COUNTER, COUNTER - 6
        path, value = f"M{self.x(self.first):.1f} {bottom}", 0
        for ts, next_ in points:
            x = self.x(ts)
            path += f"L{x:.1f} {bottom - height * value / most:.1f}"
            path += f"L{x:.1f} {bottom - height * next_ / most:.1f}"
            value = next_
        end = self.x(self.last)
        path += f"L{end:.1f} {bottom - height * value / most:.1f}L{end:.1f} {bottom}Z"
        self.put(f'<path d="{path}" class="counter"/>')
        self.label(name, bottom - height / 2 + 1)
        self.put(f'<text x="{GUTTER - 10}" y="{bottom - 1}" class="most">at most {most:g}</text>')
        self.y = bottom + GAP
        self.separator()

    def slice(self, slice_, y):
        x, end = self.x(slice_["ts"]), self.x(slice_["ts"] + slice_["dur"])
        width = max(end - x, 0.8)
        facts = ", ".join(f"{k}: {v}" for k, v in slice_["args"].items())
        dark = " dark" if slice_["cat"] == "blocked" else ""
        self.put(f'<g><title>{escape(slice_["name"])}, {slice_["dur"]} us; {escape(facts)}</title>'
                 f'<rect x="{x:.2f}" y="{y:.1f}" width="{width:.2f}" height="{SLICE - 1}" rx="1.5"'
                 f' fill="{colour(slice_)}"/>')
        room = int((width - 6) / LETTER)
        text = slice_["name"]
        if room >= 3:
            shown = text if len(text) <= room else text[: room - 1] + "\u2026"
            self.put(f'<text x="{x + 3:.1f}" y="{y + 12:.1f}" class="name{dark}">{escape(shown)}'
                     "</text>")
        self.put("</g>")

    def thread(self, number, name):
        slices = [e for e in self.events if e["ph"] == "X" and e["tid"] == number]
        levels = depths(slices)
        top, height = self.y + GAP, SLICE * (max(levels, default=0) + 1)
        for slice_, depth in zip(slices, levels):
            y = top + depth * SLICE
            self.places[number, slice_["ts"]] = y
            if self.shown(slice_):
                self.slice(slice_, y)
        for moment in self.events:
            if moment["ph"] == "i" and moment["tid"] == number and "cat" in moment:
                x = self.x(moment["ts"])
                self.put(f'<path d="M{x:.1f} {top}l-4 -7h8z" class="moment">'
                         f'<title>{escape(moment["name"])}</title></path>')
        self.label(name, top + 12)
        self.put(f'<text x="{GUTTER - 10}" y="{top + 23}" class="most">thread {number}</text>')
        self.y = top + max(height, 24) + GAP
        self.separator()

    def arrows(self):
        starts = {e["id"]: e for e in self.events if e["ph"] == "s"}
        for end in (e for e in self.events if e["ph"] == "f" and e["id"] in starts):
            start = starts[end["id"]]
            if not self.shown(start) or not self.shown(end):
                continue
            x, y = self.x(start["ts"]), self.places[start["tid"], start["ts"]] + SLICE / 2
            to_x, to_y = self.x(end["ts"]), self.places[end["tid"], end["ts"]] + SLICE / 2
            bend = max((to_x - x) / 2, 14)
            self.put(f'<path d="M{x:.1f} {y:.1f}C{x + bend:.1f} {y:.1f} {to_x - bend:.1f} '
                     f'{to_y:.1f} {to_x:.1f} {to_y:.1f}" class="arrow"/>')

    def draw(self, title):
        names = {e["tid"]: e["args"]["name"] for e in self.events if e["ph"] == "M"}
        counters = dict.fromkeys(e["name"] for e in self.events if e["ph"] == "C")
        self.separator()
        for name in counters:
            self.counter(name)
        for number in sorted(names, key=lambda n: (n != self.events[0]["pid"], names[n])):
            self.thread(number, names[number])
        self.arrows()
        height = self.y + MARGIN
        return HEAD.format(width=WIDTH, height=int(height), title=escape(title)) + "\n".join(
            [self.axis(int(self.y)), *self.out]) + "\n</svg>\n"


HEAD = """<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" \
viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif" font-size="11">
<title>{title}</title>
<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" \
orient="auto"><path d="M0 0L8 4L0 8Z" fill="#3a3a3a"/></marker></defs>
<style>
.track {{ text-anchor: end; font-weight: bold; fill: #2a2a2a }}
.most {{ text-anchor: end; fill: #7a7a7a; font-size: 9px }}
.tick {{ text-anchor: middle; fill: #5a5a5a; font-size: 10px; stroke: none }}
.grid {{ stroke: #e6e8eb }}
.rule {{ stroke: #d3d7dc }}
.name {{ fill: #fff; font-size: 10px }}
.dark {{ fill: #3a3a3a }}
.counter {{ fill: #a9c4e6; stroke: #3f6fb5 }}
.moment {{ fill: #c0000a }}
.arrow {{ fill: none; stroke: #3a3a3a; stroke-opacity: 0.45; marker-end: url(#head) }}
</style>
<rect width="{width}" height="{height}" fill="#ffffff"/>
"""


def main():
    if len(sys.argv) not in (3, 5):
        sys.exit(__doc__.strip())
    path, target = sys.argv[1:3]
    first, last = map(float, sys.argv[3:]) if len(sys.argv) == 5 else (0.0, None)
    with open(target, "w", encoding="utf-8") as file:
        file.write(Picture(read(path), first, last).draw("A timeline of a pool"))


main()
