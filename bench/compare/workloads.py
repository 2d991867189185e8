# SPDX-License-Identifier: MIT
"""What is run, with which peers, and which numbers of it matter."""

from dataclasses import dataclass

POOLS = (
    "weir", "mutex", "nsync", "go-channels", "go-errgroup", "tbb", "tbb-arena", "rayon", "uv",
    "glib", "asio", "openmp", "java-executor", "java-forkjoin",
)  # fmt: skip
RINGS = (
    "ring-weir", "ring-vyukov", "ring-mutex", "ring-ck", "ring-rte", "ring-rts", "ring-boost",
    "ring-moodycamel",
)  # fmt: skip


@dataclass(frozen=True)
class Metric:
    name: str
    heading: str
    scale: float = 1.0
    more_is_better: bool = False


NS_TASK = Metric("ns_per_task", "ns per task")
SWITCHES = Metric("switches_per_task", "switches per task")
GROWTH = Metric("growth_kb", "memory grown, MB", 1 / 1024)
WAKES = Metric("wakes_per_task", "wakes per task")
EFFICIENCY = Metric("efficiency", "efficiency", more_is_better=True)
P50 = Metric("p50_us", "p50 us")
P99 = Metric("p99_us", "p99 us")
P999 = Metric("p999_us", "p99.9 us")
CPU_US = Metric("cpu_ns_per_task", "CPU us per task", 1e-3)
NS_ITEM = Metric("ns_per_item", "ns per item")


@dataclass(frozen=True)
class Workload:
    key: str  # what the user calls it, and the name of its files
    name: str  # what the program calls it
    title: str
    n: int
    quick_n: int
    peers: tuple
    metrics: tuple  # the first one decides the order and the ratios
    reference: str = "weir"
    # At least n, but as many as take half a second: the peers differ by a factor of 1000.
    half_a_second: bool = False
    time_out_s: int = 120
    ring: bool = False


def pools_and(*more):
    return POOLS + more


POOL_WORKLOADS = (
    Workload("w1", "flood1", "W1: one producer, 2 M empty tasks", 2000000, 20000, POOLS,
             (NS_TASK, GROWTH, SWITCHES)),
    Workload("w1-wakes", "flood1", "W1 with the calls that wake a thread counted", 2000000, 20000,
             ("weir-wakes", "mutex-wakes"), (WAKES, SWITCHES), reference="weir-wakes"),
    Workload("w2", "flood4", "W2: four producers, 2 M empty tasks", 2000000, 20000, POOLS,
             (NS_TASK, GROWTH, SWITCHES)),
    Workload("w3", "tree", "W3: tasks submit tasks, a binary tree of depth 18", 18, 12,
             pools_and("weir-local", "go-goroutines", "mutex-blocking", "go-channels-blocking"),
             (NS_TASK, SWITCHES)),
    Workload("w4", "fib", "W4: recursive fork and join, fib 27 without a cut-off", 27, 17,
             pools_and("weir-errgroup", "weir-waitgroup", "weir-local", "weir-local-waitgroup",
                       "go-goroutines"),
             (Metric("ns_per_call", "ns per call"), SWITCHES)),
    Workload("w5-1us", "work1us", "W5: tasks of 1 us", 1000000, 10000, POOLS,
             (EFFICIENCY, SWITCHES)),
    Workload("w5-10us", "work10us", "W5: tasks of 10 us", 200000, 2000, POOLS,
             (EFFICIENCY, SWITCHES)),
    Workload("w6", "paced", "W6: a task every 200 us, from submit to start", 5000, 250, POOLS,
             (P50, P99, P999, CPU_US)),
    Workload("w6-idle", "idle", "W6: an idle pool, after traffic", 2000, 200, POOLS,
             (Metric("cpu_us_per_s", "CPU us per second"),
              Metric("switches_per_s", "switches per second"))),
    Workload("w7", "crowd", "W7: 8 producers and 16 workers, empty tasks", 1000000, 10000, POOLS,
             (NS_TASK, P50, P99, P999)),
    Workload("w8-outside", "trip_outside", "W8: submit one task and wait, from outside", 20000, 500,
             pools_and("weir-helping", "weir-local-helping", "go-goroutines"),
             (NS_TASK, SWITCHES), half_a_second=True),
    Workload("w8-inside", "trip_inside", "W8: submit one task and wait, inside a task", 20000, 500,
             pools_and("weir-local"), (NS_TASK, SWITCHES), half_a_second=True),
    Workload("w9-outside", "groups_outside", "W9: groups of 8 tasks, from outside", 5000, 100,
             pools_and("weir-errgroup", "weir-helping", "weir-errgroup-helping",
                       "weir-local-helping", "go-goroutines"),
             (NS_TASK, SWITCHES), half_a_second=True),
    Workload("w9-inside", "groups_inside", "W9: groups of 8 tasks, inside a task", 5000, 100,
             pools_and("weir-errgroup", "weir-local"), (NS_TASK, SWITCHES), half_a_second=True),
)  # fmt: skip

CAPACITIES = (64, 1024, 65536)
SIDES = (1, 2, 4, 8, 16)


def ring_workload(key, name, title, n):
    return Workload(
        key, name, title, n, n // 100, RINGS, (NS_ITEM,), "ring-weir", time_out_s=30, ring=True
    )


RING_WORKLOADS = tuple(
    ring_workload(
        f"ring-pair-{capacity}",
        f"pair:{capacity}",
        f"Ring: a push and a pop on one thread, capacity {capacity}",
        5000000,
    )
    for capacity in CAPACITIES
) + tuple(
    ring_workload(
        f"ring-{side}x{side}-{capacity}",
        f"{side}x{side}:{capacity}",
        f"Ring: {side} + {side} producers and consumers, capacity {capacity}",
        1000000,
    )
    for side in SIDES
    for capacity in CAPACITIES
)

ALL = POOL_WORKLOADS + RING_WORKLOADS
