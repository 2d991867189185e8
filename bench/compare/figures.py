# SPDX-License-Identifier: MIT
"""The pictures, as SVG: little text, so that a change of one can be read as a diff."""

import math
from html import escape

from programs import PEERS
from report import number
from workloads import CAPACITIES, SIDES

WIDTH = 760
ROW = 22
BAR = 15
TOP = 56  # below the title and the line under it
LABELS = 275  # where bars begin
VALUES = 60  # room for a number to the right of the longest bar

OWN = "#1f6fb4"
OTHERS = "#b0b7bd"
LINES = (
    OWN, "#d1495b", "#3a7d44", "#b07d10", "#7a5195", "#8d6e63", "#2e4057", "#808080",
)  # fmt: skip

STYLE = (
    "text{font:13px sans-serif;fill:#222}.t{font-weight:bold;font-size:15px}.s{fill:#666}"
    ".e{text-anchor:end}.m{text-anchor:middle}.g{stroke:#ddd}"
    "polyline{fill:none;stroke-linecap:round}"
)


def svg(height, title, subtitle, body):
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f'<path fill="#fff" d="M0 0h{WIDTH}v{height}H0z"/>',
        f'<text x="12" y="22" class="t">{escape(title)}</text>',
        f'<text x="12" y="42" class="s">{escape(subtitle)}</text>',
        *body,
        "</svg>",
    ]


def text(x, y, words, kind="", more=""):
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.0f}" y="{y:.0f}"{kind}{more}>{escape(words)}</text>'


def is_own(peer):
    return peer.startswith(("weir", "ring-weir"))


def rectangles(color, boxes):
    """One path for all of them."""
    drawn = "".join(f"M{x:.0f} {y:.0f}h{w:.0f}v{BAR}h-{w:.0f}z" for x, y, w in boxes if w > 0)
    return [f'<path fill="{color}" d="{drawn}"/>'] if drawn else []


def column(rows, left, right, logarithmic=False):
    """Bars with their numbers: `rows` are pairs of a value, or None, and whether it is weir's."""
    values = [value for value, _ in rows if value is not None]
    low, high = min(values), max(values)
    boxes, numbers = {OWN: [], OTHERS: []}, []
    for i, (value, own) in enumerate(rows):
        y = TOP + i * ROW
        if value is None:
            numbers.append(text(left + 4, y + 12, "-", "s"))
            continue
        share = value / high
        if logarithmic:
            share = math.log(2 * value / low) / math.log(2 * high / low)
        length = share * (right - VALUES - left)
        boxes[OWN if own else OTHERS].append((left, y, length))
        numbers.append(text(left + length + 5, y + 12, number(value)))
    return [*rectangles(OTHERS, boxes[OTHERS]), *rectangles(OWN, boxes[OWN]), *numbers]


def labels(peers):
    return [
        text(LABELS - 8, TOP + i * ROW + 12, PEERS[peer].label, "e") for i, peer in enumerate(peers)
    ]


def bars(results, workload):
    """One bar a peer, the best one on top; nothing if there is nothing to show."""
    metric = workload.metrics[0]
    medians = [(results.median(workload.key, p, metric.name), p) for p in workload.peers]
    medians = [(m * metric.scale, p) for m, p in medians if m is not None and m > 0]
    if len(medians) < 2:
        return []
    medians.sort(reverse=metric.more_is_better)
    logarithmic = max(medians)[0] > 20 * min(medians)[0]
    better = "more" if metric.more_is_better else "less"
    subtitle = f"{metric.heading}; {better} is better"
    if logarithmic:
        subtitle += "; the lengths are logarithms"
    rows = [(value, is_own(peer)) for value, peer in medians]
    body = labels([peer for _, peer in medians]) + column(rows, LABELS, WIDTH, logarithmic)
    return svg(TOP + ROW * len(medians) + 6, workload.title, subtitle, body)


def throughput(results, workloads):
    """The picture of the front page: tasks a second, from one producer and from four."""
    pair = [workload for workload in workloads if workload.key in ("w1", "w2")]
    if len(pair) != 2:
        return []

    def rate(workload, peer):
        ns = results.median(workload.key, peer, "ns_per_task")
        return 1e3 / ns if ns else None

    rows = [(rate(pair[0], peer), rate(pair[1], peer), peer) for peer in pair[0].peers]
    rows = sorted((row for row in rows if row[0] is not None), key=lambda row: -row[0])
    if len(rows) < 2 or all(row[1] is None for row in rows):
        return []
    middle = LABELS + (WIDTH - LABELS) // 2
    body = [text(LABELS, TOP - 14, "one producer", "s")]
    body += [text(middle, TOP - 14, "four producers", "s")]
    body += labels([peer for _, _, peer in rows])
    for i, left, right in ((0, LABELS, middle), (1, middle, WIDTH)):
        body += column([(row[i], is_own(row[2])) for row in rows], left, right)
    title = "Million empty tasks a second through two workers"
    return svg(TOP + ROW * len(rows) + 6, title, "more is better", body)


class Axis:
    """A logarithmic one."""

    def __init__(self, low, high, start, end):
        self.low, self.start = low, start
        self.scale = (end - start) / math.log(high / low)

    def __call__(self, value):
        return self.start + math.log(value / self.low) * self.scale


def spread(wanted, least):
    """Places in the same order, near the wanted ones, at least so far apart."""
    placed = []
    for place in wanted:
        placed.append(max(place, placed[-1] + least) if placed else place)
    return placed


def ring_lines(results, workloads, capacity):
    """A line a queue over the number of threads, with its name where it ends."""
    height, bottom, left, right = 400, 360, 60, WIDTH - 190
    keys = {workload.key for workload in workloads}
    lines = []
    for peer in workloads[0].peers:
        points = []
        for side in SIDES:
            key = f"ring-{side}x{side}-{capacity}"
            median = results.median(key, peer, "ns_per_item") if key in keys else None
            if median:
                points.append((side, median))
        if points:
            lines.append((peer, points))
    if not lines:
        return []
    values = [value for _, points in lines for _, value in points]
    x = Axis(SIDES[0], SIDES[-1], left, right)
    y = Axis(min(values) * 0.9, max(values) * 1.1, bottom, TOP)

    ticks = [n * 10**d for d in range(-1, 6) for n in (1, 2, 5)]
    ticks = [tick for tick in ticks if min(values) * 0.9 <= tick <= max(values) * 1.1]
    grid = "".join(f"M{left} {y(tick):.0f}H{right}" for tick in ticks)
    grid += "".join(f"M{x(side):.0f} {TOP}V{bottom}" for side in SIDES)
    body = [f'<path class="g" d="{grid}"/>']
    body += [text(left - 6, y(tick) + 4, f"{tick:g}", "e s") for tick in ticks]
    body += [text(x(side), bottom + 18, f"{side}+{side}", "m s") for side in SIDES]

    lines.sort(key=lambda line: -line[1][-1][1])
    places = spread([y(points[-1][1]) + 4 for _, points in lines], 17)
    for (peer, points), place in zip(lines, places):
        color = LINES[workloads[0].peers.index(peer) % len(LINES)]
        path = " ".join(f"{x(side):.0f},{y(value):.0f}" for side, value in points)
        thick = 3 if peer == "ring-weir" else 1.5
        name = PEERS[peer].label
        stuck = [s for s in SIDES if (f"ring-{s}x{s}-{capacity}", peer) in results.failures]
        if stuck:
            name += f" (stuck at {stuck[0]}+{stuck[0]})"
        if len(points) == 1:
            path, thick = f"{path} {path}", 6  # of no length: a dot
        body.append(f'<polyline stroke="{color}" stroke-width="{thick}" points="{path}"/>')
        body.append(text(right + 8, place, name, more=f' style="fill:{color}"'))
    title = f"Queues of capacity {capacity}: time per item"
    subtitle = "ns per item, over producers + consumers, both logarithmic; less is better"
    return svg(height - 8, title, subtitle, body)


def draw_all(results, workloads, folder):
    pictures = {w.key: bars(results, w) for w in workloads if not w.ring}
    pictures["throughput"] = throughput(results, workloads)
    rings = [workload for workload in workloads if workload.ring]
    if rings:
        for capacity in CAPACITIES:
            pictures[f"ring-{capacity}"] = ring_lines(results, rings, capacity)
    for name, lines in pictures.items():
        if lines:
            (folder / f"{name}.svg").write_text("\n".join(lines) + "\n", encoding="utf-8")
