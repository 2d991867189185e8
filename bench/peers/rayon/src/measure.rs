// SPDX-License-Identifier: MIT

//! What measure.c is for the programs in C.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// What one thread has run, on a cache line of its own. Nobody else writes it.
#[repr(align(64))]
struct Tally {
    count: AtomicU64,
    sum: AtomicU64,
}

const TALLIES: usize = 512;

#[allow(clippy::declare_interior_mutable_const)] // it is the value that each starts with
const EMPTY: Tally = Tally { count: AtomicU64::new(0), sum: AtomicU64::new(0) };
static ALL: [Tally; TALLIES] = [EMPTY; TALLIES];
static TAKEN: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static OWN: Cell<Option<&'static Tally>> = const { Cell::new(None) };
}

pub fn tally_add(value: u64) {
    OWN.with(|own| {
        let tally = own.get().unwrap_or_else(|| {
            let taken = &ALL[TAKEN.fetch_add(1, Relaxed)];
            own.set(Some(taken));
            taken
        });
        tally.count.store(tally.count.load(Relaxed) + 1, Relaxed);
        tally.sum.store(tally.sum.load(Relaxed) + value, Relaxed);
    });
}

pub fn tally_reset() {
    for tally in &ALL {
        tally.count.store(0, Relaxed);
        tally.sum.store(0, Relaxed);
    }
}

/// Called when every task was waited for.
pub fn tally_check(count: u64, sum: u64) {
    let counted: u64 = ALL.iter().map(|tally| tally.count.load(Relaxed)).sum();
    let summed: u64 = ALL.iter().map(|tally| tally.sum.load(Relaxed)).sum();
    check(counted == count, "not every task ran once");
    check(summed == sum, "the tasks got other arguments");
}

pub fn check(right: bool, what: &str) {
    if !right {
        eprintln!("WRONG: {what}");
        std::process::exit(1);
    }
}

pub fn sum_to(n: u64) -> u64 {
    n * (n + 1) / 2
}

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

extern "C" {
    fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
}

// Of <time.h> on Linux.
const CLOCK_MONOTONIC: i32 = 1;
const CLOCK_PROCESS_CPUTIME_ID: i32 = 2;

fn read_clock(clock: i32) -> i64 {
    let mut time = Timespec { seconds: 0, nanoseconds: 0 };
    unsafe { clock_gettime(clock, &mut time) }; // cannot fail for these clocks
    time.seconds * 1_000_000_000 + time.nanoseconds
}

pub fn now() -> i64 {
    read_clock(CLOCK_MONOTONIC)
}

/// The number in a line "key   number" of a status file; 0 if there is none.
fn status_number(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// In kB.
pub fn read_status(key: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("no /proc/self/status");
    status_number(&text, key)
}

pub fn reset_peak() {
    std::fs::write("/proc/self/clear_refs", "5").expect("the peak of memory cannot be reset");
}

pub struct Usage {
    pub cpu: i64,
    pub switches: u64,
}

impl Usage {
    /// The switches are those of the threads that live.
    pub fn read() -> Usage {
        let mut switches = 0;
        for thread in std::fs::read_dir("/proc/self/task").expect("no /proc/self/task").flatten() {
            if let Ok(text) = std::fs::read_to_string(thread.path().join("status")) {
                switches += status_number(&text, "voluntary_ctxt_switches:");
            }
        }
        Usage { cpu: read_clock(CLOCK_PROCESS_CPUTIME_ID), switches }
    }

    pub fn print_since(&self, tasks: u64) {
        let after = Usage::read();
        let switches = after.switches as f64 - self.switches as f64;
        print_metric("switches_per_task", switches / tasks as f64);
        print_metric("cpu_ns_per_task", (after.cpu - self.cpu) as f64 / tasks as f64);
    }
}

pub fn print_metric(name: &str, value: f64) {
    println!("{name} {value}");
}

pub fn print_delays(mut delays: Vec<i64>) {
    delays.sort_unstable();
    check(delays[0] >= 0, "a task started before its submit, or never");
    for (name, p) in [("p50_us", 0.5), ("p99_us", 0.99), ("p999_us", 0.999)] {
        let rank = (p * delays.len() as f64).ceil() as usize;
        print_metric(name, delays[rank.max(1) - 1] as f64 / 1000.0);
    }
}

#[inline(never)]
pub fn work(seed: u64, steps: u64) -> u64 {
    let mut x = seed;
    for _ in 0..steps {
        x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    }
    x
}

/// How many steps take ns, as measured now on an undisturbed stretch of this thread.
pub fn work_steps(ns: f64) -> u64 {
    const TRIES: usize = 200;
    const STEPS: u64 = 20000;
    let mut best = i64::MAX;
    let mut x = 1;
    for _ in 0..TRIES {
        let start = now();
        x = work(x, STEPS);
        best = best.min(now() - start);
    }
    check(x != 0, "the work could not be timed");
    (ns * STEPS as f64 / best as f64) as u64
}

pub fn fib_value(n: u64) -> u64 {
    let (mut a, mut b) = (0, 1);
    for _ in 0..n {
        (a, b) = (b, a + b);
    }
    a
}

pub fn fib_calls(n: u64) -> u64 {
    2 * fib_value(n + 1) - 1
}
