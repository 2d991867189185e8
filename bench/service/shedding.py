# SPDX-License-Identifier: MIT
"""The picture of what shedding is good for: the same load with and without it, over time."""

import tempfile
from pathlib import Path

import contenders
import figures
from server import Server

# Four workers and a handler that waits for 10 ms: 400 requests a second.
WORKERS, PATH = 4, "/bench/wait?us=10000"
RATES = (200, 4000, 200)
SLICE_S = 0.1
HEIGHT, LEFT, BOTTOM = 380, 60, 330
LINES = {"shedding": figures.OWN, "not shedding": "#d1495b"}


def waits(shed, seconds):
    """Of what was answered with 200: [(when it came, in s, how long it took, in ms)]."""
    found, begin = [], 0
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as folder:
        lines = Path(folder, "lines")
        command = contenders.weir("--workers", str(WORKERS), "--shed", shed)
        with Server(command) as server:
            for rate in RATES:
                contenders.ask(server, PATH, "-c", 300, "-r", rate, "-s", seconds, "-l", lines)
                for line in lines.read_text().splitlines():
                    at, status, took = map(int, line.split())
                    if status == 200:
                        found.append((begin + at / 1e6, took / 1e3))
                begin += seconds
    return found


def longest(found):
    """The longest of each slice of time, as [(middle of it, ms)]."""
    slices = {}
    for at, ms in found:
        slices.setdefault(int(at / SLICE_S), []).append(ms)
    return [((n + 0.5) * SLICE_S, max(times)) for n, times in sorted(slices.items())]


def picture(seconds):
    lines = {
        "shedding": longest(waits("yes", seconds)),
        "not shedding": longest(waits("no", seconds)),
    }
    most = max(ms for points in lines.values() for _, ms in points)
    y = figures.Axis(5, most * 1.2, BOTTOM, figures.TOP + 20)
    right = figures.WIDTH - 20

    def x(s):
        return LEFT + (right - LEFT) * s / (seconds * len(RATES))

    ticks = [tick for tick in (5, 10, 20, 50, 100, 200, 500, 1000, 2000) if tick <= most * 1.2]
    grid = "".join(f"M{LEFT} {y(tick):.0f}H{right}" for tick in ticks)
    grid += "".join(f"M{x(n * seconds):.0f} {figures.TOP}V{BOTTOM}" for n in range(len(RATES) + 1))
    body = [f'<path class="g" d="{grid}"/>']
    body += [figures.text(LEFT - 6, y(tick) + 4, f"{tick}", "e s") for tick in ticks]
    for n, rate in enumerate(RATES):
        words = f"{rate} requests a second"
        body.append(figures.text(x((n + 0.5) * seconds), figures.TOP + 12, words, "m s"))
    for n in range(seconds * len(RATES) + 1):
        body.append(figures.text(x(n), BOTTOM + 18, f"{n} s", "m s"))
    for name, points in lines.items():
        path = " ".join(f"{x(s):.0f},{y(max(ms, 5)):.0f}" for s, ms in points if s < x(right))
        body.append(f'<polyline stroke="{LINES[name]}" stroke-width="2" points="{path}"/>')
        late = [ms for s, ms in points if seconds * 1.7 < s < seconds * 1.9]
        if late:
            more = f' style="fill:{LINES[name]}"'
            body.append(
                figures.text(x(seconds * 1.8), y(max(late)) - 8, name, "m", more=more)
            )
    title = "Ten times more requests than four workers can serve"
    subtitle = "the longest wait for an answer with 200, each 0.1 s, in ms, logarithmic"
    return "\n".join(figures.svg(HEIGHT - 20, title, subtitle, body)) + "\n"
