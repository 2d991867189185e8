# SPDX-License-Identifier: MIT
"""Commands for gdb: what the pools of a program are doing, on a live process and on a core file.

    (gdb) weir pools             each pool, as far as it is known
    (gdb) weir workers [POOL]    what each worker does: of one pool (its address), or of all
    (gdb) weir queue [POOL]      what waits to start

gdb loads this file by itself with the installed library, if its auto-load safe path has the place
(info auto-load python-scripts says so); else: source weir-gdb.py. It needs the library's debugging
information, as "meson setup" gives it by default, and nothing of the program's own.

There is no list of pools in the library: each thread is asked for the worker that it is, a
thread-local variable, and that leads to its pool. So a pool is found as long as one of its workers
is there. Nothing is called in the program and nothing is changed; what a program that goes on
running changes meanwhile may be told as it was before.
"""

import gdb

PHASES = ["open", "closed", "cancelled", "stopping", "stopped"]
BLOCKED, PARKED = 1, 2
SEAT_TAKEN = 1
INDEX_BITS = 24


class Unknown(Exception):
    """Something that is not there, or cannot be read."""


def number(value):
    """Of an atomic, too."""
    try:
        return int(value)
    except gdb.error:
        return int(value.cast(value.type.unqualified()))


def struct_pointer(name):
    return gdb.lookup_type(f"struct {name}").pointer()


def text_at(value, limit=96):
    """The string at a char pointer or in an array, as far as it is readable UTF-8."""
    is_array = value.type.strip_typedefs().code == gdb.TYPE_CODE_ARRAY
    address, found = int(value.address if is_array else number(value)), bytearray()
    while len(found) < limit:
        byte = bytes(gdb.selected_inferior().read_memory(address + len(found), 1))
        if byte == b"\0":
            break
        found += byte
    return found.decode("utf-8", "backslashreplace")


def quoted(name):
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def function_at(address):
    """The name of a function, or the address."""
    block = gdb.execute(f"info symbol {address:#x}", to_string=True).split()
    return block[0] if block and block[0] != "No" else f"{address:#x}"


def seconds(ns):
    return f"{ns / 1e9:.3f} s"


# Pools.


def threads():
    """All threads, and at the end the one that was selected is again."""
    before = gdb.selected_thread()
    try:
        for thread in sorted(gdb.selected_inferior().threads(), key=lambda one: one.num):
            thread.switch()
            yield thread
    finally:
        if before is not None and before.is_valid():
            before.switch()


def seat_of_selected():
    """The worker that the selected thread is, by its thread-local variable; or None."""
    try:
        seat = gdb.parse_and_eval("weir__this_thread.seat")
    except gdb.error as error:
        raise Unknown(f"weir__this_thread cannot be read: {error}") from error
    return seat if int(seat) != 0 else None


def find_pools():
    """{address: pool}, in the order in which their first workers come; and why not more."""
    pools, problem = {}, None
    for _ in threads():
        try:
            seat = seat_of_selected()
        except Unknown as unknown:
            problem = unknown
            continue
        if seat is not None:
            # The queue is the first member of a pool.
            pool = seat["queue"].cast(struct_pointer("weir_pool"))
            pools.setdefault(int(pool), pool.dereference())
    return pools, problem


def chosen_pools(argument):
    if argument:
        address = int(gdb.parse_and_eval(argument))
        pool = gdb.Value(address).cast(struct_pointer("weir_pool")).dereference()
        return {address: pool}
    pools, problem = find_pools()
    if not pools:
        raise gdb.GdbError(f"weir: no pool found: {problem or 'no thread is a worker'}")
    return pools


def rings(pool):
    """Those of the lanes, the most urgent first."""
    queue = pool["queue"]
    lanes = [queue["by_urgency"][k] for k in range(number(queue["lane_count"]))]
    return [lane.dereference()["ring"] for lane in lanes]


def deques(pool):
    """Those of the workers, of a pool of local order."""
    all_of_them = pool["queue"]["deques"]
    return [all_of_them["of_workers"][i]["deque"] for i in range(number(all_of_them["count"]))]


def queued(pool):
    """The slots of the jobs that are to be taken, the oldest of each lane and deque first."""
    slots = pool["queue"]["slots"]
    return ([slot for ring in rings(pool) for slot in queued_in(ring, slots)] +
            [slot for deque in deques(pool) for slot in queued_in_deque(deque, slots)])


def queued_in(ring, slots):
    position, mask = number(ring["head"]), number(ring["mask"])  # no further than the real head
    jobs, sequences = [], 1 << (64 - INDEX_BITS)
    while len(jobs) <= mask:
        word = number(ring["words"][position & mask])
        ahead = ((word >> INDEX_BITS) - position - 1) % sequences
        if ahead >= sequences // 2:
            break  # not filled yet
        slot = slots[word & ((1 << INDEX_BITS) - 1)]
        if ahead == 0 and number(slot["claim"]) & 1 == 0:
            jobs.append(slot)
        position += 1
    return jobs


def queued_in_deque(deque, slots):
    # The last one is taken by moving `top`, so bottom may be one below it.
    top, bottom, mask = (number(deque[field]) for field in ("top", "bottom", "mask"))
    found = [slots[number(deque["words"][at & mask])]
             for at in range(max(top, bottom - number(deque["capacity"])), bottom)]
    return [slot for slot in found if number(slot["claim"]) & 1 == 0]


def workers(pool):
    """{index: worker} of those that there are."""
    crew = pool["crew"]
    seats = [crew["workers"][index] for index in range(number(crew["count"]))]
    size = crew["size"]
    return {index: worker for index, worker in enumerate(seats)
            if number(size) == 0 or number(size["seats"][index]) == SEAT_TAKEN}


def pool_line(address, pool):
    capacity = sum(number(each["capacity"]) for each in rings(pool) + deques(pool))
    phase = number(pool["queue"]["phase"])
    return (f"pool {address:#x} {quoted(text_at(pool['crew']['name'], 16))}: "
            f"{PHASES[phase] if phase < len(PHASES) else phase}, "
            f"{len(workers(pool))} workers, {len(queued(pool))} of {capacity} queued")


# Workers.


def level_name(level):
    has_more = number(level["began"]) & 1 != 0
    name = text_at(level["name"]) if has_more else ""
    return quoted(name) if name else function_at(number(level["fn"]))


def stacked(activity):
    """The runs within each other, outermost first."""
    count = number(activity["state"]) >> 8 & 0xffff
    known = activity["levels"].type.range()[1] + 1
    return [activity["levels"][i] for i in range(min(count, known))]


def worker_line(index, worker, numbers):
    activity = worker["activity"]
    state, thread = number(activity["state"]), number(activity["thread"])
    runs = stacked(activity)
    line = f"worker {index} (thread {thread}"
    if thread in numbers:
        line += f", gdb's {numbers[thread]}"
    line += "): "
    if not runs:
        return line + ("idle" if state & PARKED else "between tasks")
    line += "running " + level_name(runs[-1])
    if state & BLOCKED:
        line += f", blocked in {text_at(activity['call'])} on {number(activity['object']):#x}"
    return line


def print_workers(pool, numbers):
    for index, worker in workers(pool).items():
        print(worker_line(index, worker, numbers))
        for level in reversed(stacked(worker["activity"])[:-1]):
            print(f"worker {index}: within {level_name(level)}")


# The queue.


def job_name(slot):
    """A task's own name, if its sink is a handle; else its function's."""
    sink = number(slot["sink"])
    if sink != 0:
        try:
            handles = [int(gdb.parse_and_eval(f"&{name}")) for name in
                       ("weir__task_sink", "weir__periodic_sink", "weir__retried_sink")]
            task = gdb.Value(sink).cast(struct_pointer("task"))
            if number(task["sink"]["ops"]) in handles and int(task["name"]) != 0:
                return quoted(text_at(task["name"]))
        except (gdb.error, gdb.MemoryError):
            pass  # it may be gone
    return function_at(number(slot["fn"]))


def print_queue(pool):
    counts = {}
    for slot in queued(pool):
        name = job_name(slot)
        counts[name] = counts.get(name, 0) + 1
    for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
        print(f"queued: {count} x {name}")
    if not counts:
        print("queued: nothing")


# Commands.


class Weir(gdb.Command):
    """What the pools of weir are doing: weir pools, weir workers, weir queue."""

    def __init__(self):
        super().__init__("weir", gdb.COMMAND_STATUS, gdb.COMPLETE_NONE, prefix=True)


class OnPools(gdb.Command):
    def run(self, pool):
        raise NotImplementedError

    def invoke(self, argument, from_tty):
        self.dont_repeat()
        for address, pool in chosen_pools(argument).items():
            print(pool_line(address, pool))
            self.run(pool)


class Pools(OnPools):
    """Lists the pools: address, name, phase, workers, how full the queue is."""

    def __init__(self):
        super().__init__("weir pools", gdb.COMMAND_STATUS)

    def run(self, pool):
        pass


class Workers(OnPools):
    """What each worker is doing. weir workers [POOL]"""

    def __init__(self):
        super().__init__("weir workers", gdb.COMMAND_STATUS)

    def run(self, pool):
        numbers = {one.ptid[1]: one.num for one in gdb.selected_inferior().threads()}
        print_workers(pool, numbers)


class Queue(OnPools):
    """What waits to start, by name. weir queue [POOL]"""

    def __init__(self):
        super().__init__("weir queue", gdb.COMMAND_STATUS)

    def run(self, pool):
        print_queue(pool)


Weir()
Pools()
Workers()
Queue()
