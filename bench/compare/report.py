# SPDX-License-Identifier: MIT
"""The tables, as text that is also Markdown."""

import os
import platform
import subprocess
from pathlib import Path

from goals import CROWDS, GOALS, PAIRS
from programs import PEERS, ROOT


def number(value):
    """Three significant digits or more, without an exponent."""
    if value is None:
        return "-"
    size = abs(value)
    digits = 0 if value == 0 or size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 4
    return f"{value:.{digits}f}"


def table(headings, rows):
    """Columns as wide as they need; the first one is text, the others are numbers."""
    cells = [headings, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headings))]

    def line(row):
        first = row[0].ljust(widths[0])
        return "| " + " | ".join([first, *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))]) + " |"

    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(headings), "| " + " | ".join(rule) + " |", *map(line, rows)])


def workload_table(results, workload):
    """Best first; then those that have no numbers, with the reason."""
    main = workload.metrics[0]
    reference = results.median(workload.key, workload.reference, main.name)
    measured = [p for p in workload.peers if results.median(workload.key, p, main.name) is not None]
    measured.sort(
        key=lambda peer: results.median(workload.key, peer, main.name),
        reverse=main.more_is_better,
    )
    rows = []
    for peer in measured:
        median = results.median(workload.key, peer, main.name)
        low, high = results.spread(workload.key, peer, main.name)
        ratio = number(median / reference) if reference else "-"
        row = [PEERS[peer].label, number(median * main.scale), ratio]
        row.append(f"{number(low * main.scale)}..{number(high * main.scale)}")
        for metric in workload.metrics[1:]:
            value = results.median(workload.key, peer, metric.name)
            row.append(number(None if value is None else value * metric.scale))
        rows.append(row)
    headings = ["", main.heading, "ratio", "spread", *(m.heading for m in workload.metrics[1:])]
    text = f"### {workload.title}\n\n" + table(headings, rows) + "\n"
    for peer in workload.peers:
        reason = results.failures.get((workload.key, peer))
        if reason:
            text += f"\n* {PEERS[peer].label}: {reason}"
    return text.rstrip("\n") + "\n"


def ring_table(results, workloads):
    """All ring workloads of the run at once: a column for each kind, relative to Vyukov's queue."""
    run = {workload.key for workload in workloads}
    groups = [("one thread", PAIRS), ("all PxC", CROWDS)]
    groups += [
        (f"{side}P{side}C", tuple(key for key in CROWDS if key.startswith(f"ring-{side}x{side}-")))
        for side in (1, 2, 4, 8, 16)
    ]
    groups = [(name, tuple(key for key in keys if key in run)) for name, keys in groups]
    groups = [(name, keys) for name, keys in groups if keys]
    rows = []
    for peer in workloads[0].peers:
        row = [PEERS[peer].label]
        for _, keys in groups:
            if any((key, peer) in results.failures for key in keys):
                row.append("stuck")
                continue
            own = results.geometric_mean(keys, peer, "ns_per_item")
            vyukov = results.geometric_mean(keys, "ring-vyukov", "ns_per_item")
            row.append(number(own / vyukov) if own and vyukov else "-")
        rows.append(row)
    title = "### Rings: time per item relative to Vyukov's queue, geometric means over capacities"
    return f"{title}\n\n" + table(["", *(name for name, _ in groups)], rows) + "\n"


def goals_table(results):
    rows = []
    for goal in GOALS:
        value = goal.value(results)
        if value is None:
            continue
        wanted = f"{'>=' if goal.at_least else '<='} {number(goal.limit)}"
        verdict = "met" if goal.is_met(value) else "MISSED"
        rows.append([goal.what, goal.kind, wanted, number(value), verdict])
    if not rows:
        return ""
    return "### Goals\n\n" + table(["", "kind", "wanted", "got", ""], rows) + "\n"


def first_line(command):
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return "?"
    return (found.stdout.splitlines() or ["?"])[0]


def processor():
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def package_versions():
    names = []
    for line in (ROOT / "tools/packages").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if words and not line.startswith("#") and "bench" in words[1:]:
            names.append(words[0])
    form = "${db:Status-Status} ${Package} ${Version}\n"
    try:
        found = subprocess.run(
            ["dpkg-query", "-W", "-f", form, *names], capture_output=True, text=True, check=False
        )
    except OSError:
        return "?"
    installed = (line.split() for line in found.stdout.splitlines())
    return ", ".join(" ".join(words[1:]) for words in installed if words[0] == "installed")


def machine():
    return (
        f"{processor()}, {len(os.sched_getaffinity(0))} CPUs, Linux {platform.release()}, "
        f"{first_line(['gcc', '--version'])}"
    )


def render(results, workloads, skipped, rounds, instructions, load):
    pools = [workload for workload in workloads if not workload.ring]
    rings = [workload for workload in workloads if workload.ring]
    parts = [
        "# weir beside other pools and queues\n",
        f"{machine()}. Medians of {rounds} interleaved rounds; load before the run: {load:.2f}.\n"
        f"The ratio is the number beside it relative to weir's: for times, above 1 is slower.\n",
    ]
    goals = goals_table(results)
    if goals:
        parts.append(goals)
    parts += [workload_table(results, workload) for workload in pools]
    if instructions:
        rows = [[name, number(value)] for name, value in instructions]
        heading = "### Instructions, by callgrind: one thread at a time, waiting included"
        parts.append(f"{heading}\n\n" + table(["", "instructions"], rows) + "\n")
    if rings:
        parts.append(ring_table(results, rings))
        parts += [workload_table(results, workload) for workload in rings]
    if skipped:
        lines = [f"* {name}: {reason}" for name, reason in sorted(skipped.items())]
        parts.append("### Programs left out\n\n" + "\n".join(lines) + "\n")
    parts.append("### Versions\n\n" + package_versions() + "\n")
    return "\n".join(parts)
