# SPDX-License-Identifier: MIT
"""What weir is to reach. A floor must hold; an aim is what is worked for.

A goal compares two medians of the same run, or one with a fixed number. A ratio of times is the
peer's over weir's, so that 2 means that weir is twice as fast; a ratio of what is to be small or
near, a latency for example, is weir's over the peer's.
"""

from dataclasses import dataclass

from workloads import CAPACITIES, SIDES

FLOOR = "floor"
AIM = "aim"

PAIRS = tuple(f"ring-pair-{capacity}" for capacity in CAPACITIES)
CROWDS = tuple(f"ring-{side}x{side}-{capacity}" for side in SIDES for capacity in CAPACITIES)


@dataclass(frozen=True)
class Goal:
    kind: str
    what: str
    limit: float
    at_least: bool
    of: tuple  # (workload, peer, metric); for rings the workload is a tuple of them
    to: tuple = ()  # likewise; empty: `of` itself is compared with the limit

    def value(self, results):
        """None if the run has not measured what it takes."""

        def read(workload, peer, metric):
            if isinstance(workload, tuple):
                return results.geometric_mean(workload, peer, metric)
            return results.median(workload, peer, metric)

        of = read(*self.of)
        if of is None or not self.to:
            return of
        to = read(*self.to)
        return None if not to else of / to

    def is_met(self, value):
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True)
class Ends:
    """The peer has come to an end in every run of these workloads."""

    kind: str
    what: str
    workloads: tuple
    peer: str
    limit: float = 0.0
    at_least: bool = False

    def value(self, results):
        """How many of them it has not ended in; None if the run has not all of them."""
        failed = [(workload, self.peer) in results.failures for workload in self.workloads]
        run = [results.has(workload, self.peer) for workload in self.workloads]
        return float(sum(failed)) if all(a or b for a, b in zip(failed, run)) else None

    def is_met(self, value):
        return value <= self.limit


def faster(kind, limit, workload, peer, own="weir", metric="ns_per_task", peers_workload=None):
    """The peer takes at least `limit` times as long as weir."""
    return Goal(
        kind,
        f"{workload}: time of {peer} / {own}",
        limit,
        True,
        (peers_workload or workload, peer, metric),
        (workload, own, metric),
    )


def at_most(kind, limit, workload, metric, peer):
    """weir's number is at most `limit` times the peer's."""
    return Goal(
        kind,
        f"{workload}: {metric} of weir / {peer}",
        limit,
        False,
        (workload, "weir", metric),
        (workload, peer, metric),
    )


def efficiency(kind, limit, workload, peer):
    return Goal(
        kind,
        f"{workload}: efficiency of weir / {peer}",
        limit,
        True,
        (workload, "weir", "efficiency"),
        (workload, peer, "efficiency"),
    )


def below(kind, limit, workload, metric):
    return Goal(kind, f"{workload}: {metric} of weir", limit, False, (workload, "weir", metric))


def ring(kind, limit, what, workloads):
    return Goal(
        kind,
        f"ring: {what}, time of weir_ring / Vyukov, geometric mean",
        limit,
        False,
        (workloads, "ring-weir", "ns_per_item"),
        (workloads, "ring-vyukov", "ns_per_item"),
    )


def fib(kind, limit, peer, own="weir"):
    return faster(kind, limit, "w4", peer, own, "ns_per_call")


GOALS = (
    faster(FLOOR, 2.5, "w1", "mutex"),
    faster(FLOOR, 2.5, "w1", "tbb"),
    faster(FLOOR, 2.5, "w1", "tbb-arena"),
    below(FLOOR, 1024, "w1", "growth_kb"),
    faster(AIM, 1.5, "w1", "go-channels"),
    faster(FLOOR, 2.0, "w2", "nsync"),
    faster(FLOOR, 3.0, "w2", "tbb"),
    faster(FLOOR, 3.0, "w2", "tbb-arena"),
    faster(AIM, 1.5, "w2", "go-channels"),
    Ends(FLOOR, "w3: deadlocks of weir", ("w3",), "weir"),
    faster(FLOOR, 1.0, "w3", "mutex"),
    faster(FLOOR, 2.5, "w3", "tbb"),
    faster(AIM, 1.0, "w3", "go-channels"),
    faster(AIM, 1.0, "w3", "go-channels", "weir-local"),
    faster(AIM, 1.5, "w3", "tbb", "weir-local"),
    Ends(FLOOR, "w4: deadlocks of weir", ("w4",), "weir"),
    Ends(FLOOR, "w4: deadlocks of weir-errgroup", ("w4",), "weir-errgroup"),
    fib(FLOOR, 1.5, "openmp"),
    fib(FLOOR, 3.0, "go-goroutines"),
    fib(FLOOR, 1.0, "go-goroutines", "weir-errgroup"),
    fib(FLOOR, 1.0, "go-errgroup", "weir-errgroup"),
    fib(AIM, 1.0, "tbb"),
    fib(AIM, 2.0, "tbb", "weir-local"),
    fib(AIM, 0.67, "rayon", "weir-local"),
    efficiency(FLOOR, 1.0, "w5-1us", "go-channels"),
    efficiency(AIM, 1.1, "w5-1us", "go-channels"),
    efficiency(FLOOR, 1.0, "w5-10us", "tbb"),
    efficiency(AIM, 1.0, "w5-10us", "go-channels"),
    at_most(FLOOR, 1.3, "w6", "p50_us", "mutex"),
    at_most(FLOOR, 1.3, "w6", "p99_us", "mutex"),
    below(FLOOR, 100, "w6-idle", "cpu_us_per_s"),
    at_most(AIM, 1.0, "w6", "p50_us", "mutex"),
    at_most(AIM, 1.0, "w6", "p99_us", "asio"),
    at_most(AIM, 1.1, "w6", "cpu_ns_per_task", "mutex"),
    faster(FLOOR, 1.5, "w7", "nsync"),
    at_most(FLOOR, 1.0, "w7", "p99_us", "nsync"),
    at_most(FLOOR, 1.0, "w7", "p999_us", "nsync"),
    faster(AIM, 1.0, "w7", "go-channels"),
    at_most(AIM, 1.0, "w7", "p999_us", "go-channels"),
    faster(FLOOR, 1.0, "w8-outside", "mutex"),
    faster(FLOOR, 10.0, "w8-outside", "rayon", "weir-helping"),
    faster(FLOOR, 0.5, "w8-inside", "go-channels"),
    faster(AIM, 1.0, "w8-outside", "go-channels", "weir-helping"),
    faster(AIM, 1.0, "w8-outside", "tbb", "weir-helping"),
    faster(AIM, 1.0, "w8-inside", "go-channels"),
    faster(AIM, 1.0, "w8-inside", "tbb"),
    faster(AIM, 1.0, "w8-inside", "tbb", "weir-local"),
    faster(FLOOR, 1.0, "w9-outside", "nsync"),
    faster(FLOOR, 1.0, "w9-outside", "nsync", "weir-errgroup"),
    faster(FLOOR, 1.0, "w9-outside", "go-errgroup", "weir-helping"),
    faster(FLOOR, 1.0, "w9-outside", "go-errgroup", "weir-errgroup-helping"),
    # A goroutine is always inside, so Go's errgroup has one number.
    faster(FLOOR, 1.0, "w9-inside", "go-errgroup", peers_workload="w9-outside"),
    faster(FLOOR, 1.0, "w9-inside", "go-errgroup", "weir-errgroup", peers_workload="w9-outside"),
    faster(AIM, 1.0, "w9-outside", "go-channels", "weir-helping"),
    faster(AIM, 1.0, "w9-outside", "tbb", "weir-helping"),
    faster(AIM, 1.0, "w9-inside", "go-channels"),
    faster(AIM, 1.0, "w9-inside", "go-channels", "weir-local"),
    faster(AIM, 1.0, "w9-inside", "tbb"),
    Ends(FLOOR, "ring: set-ups in which weir_ring was stuck", CROWDS, "ring-weir"),
    ring(FLOOR, 1.3, "one thread", PAIRS),
    ring(AIM, 1.0, "one thread", PAIRS),
    ring(FLOOR, 1.0, "producers and consumers", CROWDS),
    ring(AIM, 0.85, "producers and consumers", CROWDS),
)
