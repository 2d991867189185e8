# SPDX-License-Identifier: MIT
"""The pictures, drawn by gnuplot."""

import subprocess

from programs import PEERS
from report import number
from workloads import CAPACITIES, SIDES

OWN = 0x1F6FB4
OTHERS = 0xB0B7BD
LINES = (0x1F6FB4, 0xD1495B, 0x66A182, 0xEDAE49, 0x7A5195, 0x8D6E63, 0x2E4057, 0x999999)


def quote(text):
    return '"' + text.replace('"', "'") + '"'


def bars(results, workload):
    """A gnuplot script: one bar a peer, the best one on top; "" if there is nothing to show."""
    metric = workload.metrics[0]
    medians = [(results.median(workload.key, p, metric.name), p) for p in workload.peers]
    medians = [(m * metric.scale, p) for m, p in medians if m is not None and m > 0]
    if len(medians) < 2:
        return ""
    medians.sort(reverse=not metric.more_is_better)
    low = min(m for m, _ in medians)
    high = max(m for m, _ in medians)
    logarithmic = high > 20 * low
    left = low / 2 if logarithmic else 0
    lines = [
        f"set terminal svg size 800,{110 + 26 * len(medians)} font 'sans-serif,13' noenhanced",
        "set output",
        f"set title {quote(workload.title)}",
        f"set xlabel {quote(metric.heading + (', logarithmic' if logarithmic else ''))}",
        "set logscale x" if logarithmic else "unset logscale",
        f"set xrange [{left:.6g}:{high * (5 if logarithmic else 1.2):.6g}]",
        f"set yrange [-0.7:{len(medians) - 0.3}]",
        "set grid xtics",
        "set style fill solid 1 noborder",
        "set tics nomirror",
        "unset key",
        "$data << EOD",
    ]
    for value, peer in medians:
        color = OWN if peer.startswith(("weir", "ring-weir")) else OTHERS
        label = quote(PEERS[peer].label)
        lines.append(f"{label} {value:.6g} {color} {quote(' ' + number(value))}")
    lines += [
        "EOD",
        f"plot $data using 2:0:({left:.6g}):2:($0-0.38):($0+0.38):3:ytic(1) "
        "with boxxyerror linecolor rgb variable, \\",
        "  $data using 2:0:4 with labels left",
    ]
    return "\n".join(lines) + "\n"


def ring_lines(results, workloads, capacity):
    """A gnuplot script: a line a queue over the number of threads."""
    keys = {workload.key for workload in workloads}
    peers = workloads[0].peers
    blocks, plots = [], []
    for i, peer in enumerate(peers):
        points = []
        for side in SIDES:
            key = f"ring-{side}x{side}-{capacity}"
            median = results.median(key, peer, "ns_per_item") if key in keys else None
            if median:
                points.append(f"{2 * side} {median:.6g}")
        if not points:
            continue
        blocks += [f"$peer{i} << EOD", *points, "EOD"]
        width = 3 if peer == "ring-weir" else 1.5
        plots.append(
            f"$peer{i} with linespoints linewidth {width} pointtype 7 pointsize 0.4 "
            f"linecolor rgb {LINES[i % len(LINES)]} title {quote(PEERS[peer].label)}"
        )
    if not plots:
        return ""
    ticks = ", ".join(f"'{side}+{side}' {2 * side}" for side in SIDES)
    return "\n".join(
        [
            "set terminal svg size 800,480 font 'sans-serif,13' noenhanced",
            "set output",
            f"set title 'Time an item, capacity {capacity}'",
            "set xlabel 'producers + consumers'",
            "set ylabel 'ns an item'",
            "set logscale xy",
            f"set xtics ({ticks})",
            "set grid",
            "set key outside right",
            *blocks,
            "plot " + ", ".join(plots),
        ]
    ) + "\n"


def draw(script, path):
    """Raises OSError if gnuplot cannot do it."""
    drawn = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True, check=False)
    if drawn.returncode != 0 or not drawn.stdout:
        raise OSError("gnuplot: " + (drawn.stderr.strip().splitlines() or ["nothing drawn"])[-1])
    lines = (line.rstrip().expandtabs(4) for line in drawn.stdout.splitlines())
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def draw_all(results, workloads, folder):
    scripts = {w.key: bars(results, w) for w in workloads if not w.ring}
    rings = [workload for workload in workloads if workload.ring]
    if rings:
        for capacity in CAPACITIES:
            scripts[f"ring-{capacity}"] = ring_lines(results, rings, capacity)
    for name, script in scripts.items():
        if script:
            draw(script, folder / f"{name}.svg")
