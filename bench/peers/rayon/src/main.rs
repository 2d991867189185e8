// SPDX-License-Identifier: MIT

//! rayon: a pool of its own size; tasks from outside through in_place_scope, which waits for them;
//! join and scope inside.
//!
//! Usage: PROGRAM WORKLOAD N, with the workloads and the output of workloads.c.

mod measure;

use measure::*;
use rayon::{Scope, ThreadPool, ThreadPoolBuilder};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

const GROUP_SIZE: usize = 8;
const WORKERS: usize = 2;
const CROWD_WORKERS: usize = 16;
const CROWD_PRODUCERS: u64 = 8;
const WARM_UP_TASKS: u64 = 10000;
const WARM_UP_CALLS: u64 = 100;
const PERIOD: i64 = 200_000;
const SETTLE: Duration = Duration::from_millis(100);

fn new_pool(workers: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(workers).build().expect("a pool could not be made")
}

/// Runs the task for 1 to n on the pool, submitted by so many threads outside it.
fn flood<F: Fn(u64) + Sync>(pool: &ThreadPool, producers: u64, n: u64, task: F) {
    let task = &task;
    let produce = |first: u64, last: u64| {
        pool.in_place_scope(|s| {
            for i in first..=last {
                s.spawn(move |_| task(i));
            }
        })
    };
    if producers == 1 {
        return produce(1, n);
    }
    std::thread::scope(|threads| {
        for p in 0..producers {
            threads.spawn(move || produce(n * p / producers + 1, n * (p + 1) / producers));
        }
    });
}

fn warm_up(pool: &ThreadPool, producers: u64) {
    flood(pool, producers, WARM_UP_TASKS, tally_add);
    tally_check(WARM_UP_TASKS, sum_to(WARM_UP_TASKS));
    tally_reset();
}

fn flood_from(producers: u64, n: u64) {
    let pool = new_pool(WORKERS);
    warm_up(&pool, producers);
    let resident = read_status("VmRSS:");
    reset_peak();
    let before = Usage::read();
    let start = now();
    flood(&pool, producers, n, tally_add);
    print_metric("ns_per_task", (now() - start) as f64 / n as f64);
    before.print_since(n);
    print_metric("growth_kb", read_status("VmHWM:").saturating_sub(resident) as f64);
    tally_check(n, sum_to(n));
}

fn visit<'s>(s: &Scope<'s>, node: u64, first_leaf: u64) {
    if node < first_leaf {
        s.spawn(move |s| visit(s, 2 * node, first_leaf));
        s.spawn(move |s| visit(s, 2 * node + 1, first_leaf));
    }
    tally_add(node);
}

fn tree(depth: u64) {
    let pool = new_pool(WORKERS);
    warm_up(&pool, 1);
    let first_leaf = 1u64 << depth;
    let nodes = 2 * first_leaf - 1;
    let before = Usage::read();
    let start = now();
    pool.scope(|s| visit(s, 1, first_leaf));
    print_metric("ns_per_task", (now() - start) as f64 / nodes as f64);
    before.print_since(nodes);
    tally_check(nodes, sum_to(nodes));
}

fn fib_of(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = rayon::join(|| fib_of(n - 1), || fib_of(n - 2));
    a + b
}

fn fib(n: u64) {
    let pool = new_pool(WORKERS);
    let warm = if n < 20 { n / 2 } else { 12 };
    check(pool.install(|| fib_of(warm)) == fib_value(warm), "a wrong sum");
    let before = Usage::read();
    let start = now();
    let value = pool.install(|| fib_of(n));
    print_metric("ns_per_call", (now() - start) as f64 / fib_calls(n) as f64);
    before.print_since(fib_calls(n));
    check(value == fib_value(n), "a wrong sum");
}

fn work_for(ns: f64, n: u64) {
    let pool = new_pool(WORKERS);
    warm_up(&pool, 1);
    let steps = work_steps(ns);
    let before = Usage::read();
    let start = now();
    flood(&pool, 1, n, |i| {
        tally_add(if work(i, steps) == 0 { 0 } else { i }); // never 0: the work must be done
    });
    print_metric("efficiency", n as f64 * ns / WORKERS as f64 / (now() - start) as f64);
    before.print_since(n);
    tally_check(n, sum_to(n));
}

fn new_stamps(n: u64) -> Vec<AtomicI64> {
    (0..n).map(|_| AtomicI64::new(-1)).collect()
}

fn start_stamp(stamps: &[AtomicI64], i: u64) {
    let stamp = &stamps[i as usize - 1];
    stamp.store(now() - stamp.load(Relaxed), Relaxed);
    tally_add(i);
}

fn print_stamps(stamps: Vec<AtomicI64>) {
    tally_check(stamps.len() as u64, sum_to(stamps.len() as u64));
    print_delays(stamps.into_iter().map(AtomicI64::into_inner).collect());
}

fn paced(n: u64) {
    let pool = new_pool(WORKERS);
    let stamps = new_stamps(n);
    warm_up(&pool, 1);
    std::thread::sleep(SETTLE);
    let before = Usage::read();
    let mut at = now();
    pool.in_place_scope(|s| {
        let stamps = &stamps;
        for i in 1..=n {
            at += PERIOD;
            let left = at - now();
            if left > 0 {
                std::thread::sleep(Duration::from_nanos(left as u64));
            }
            stamps[i as usize - 1].store(now(), Relaxed);
            s.spawn(move |_| start_stamp(stamps, i));
        }
    });
    before.print_since(n);
    print_stamps(stamps);
}

fn idle(milliseconds: u64) {
    let pool = new_pool(WORKERS);
    warm_up(&pool, 1);
    std::thread::sleep(SETTLE);
    let before = Usage::read();
    std::thread::sleep(Duration::from_millis(milliseconds));
    let after = Usage::read();
    let seconds = milliseconds as f64 / 1000.0;
    print_metric("cpu_us_per_s", (after.cpu - before.cpu) as f64 / 1000.0 / seconds);
    print_metric("switches_per_s", (after.switches - before.switches) as f64 / seconds);
}

fn crowd(n: u64) {
    let pool = new_pool(CROWD_WORKERS);
    let stamps = new_stamps(n);
    warm_up(&pool, CROWD_PRODUCERS);
    let before = Usage::read();
    let start = now();
    let (pool, all) = (&pool, &stamps);
    std::thread::scope(|threads| {
        for p in 0..CROWD_PRODUCERS {
            threads.spawn(move || {
                pool.in_place_scope(|s| {
                    for i in n * p / CROWD_PRODUCERS + 1..=n * (p + 1) / CROWD_PRODUCERS {
                        all[i as usize - 1].store(now(), Relaxed);
                        s.spawn(move |_| start_stamp(all, i));
                    }
                })
            });
        }
    });
    print_metric("ns_per_task", (now() - start) as f64 / n as f64);
    before.print_since(n);
    print_stamps(stamps);
}

/// Written by a task, read by the thread that waited for it.
struct Parcel(UnsafeCell<u64>);

// The wait orders the write before the read, and a task has its parcel to itself.
unsafe impl Sync for Parcel {}

impl Parcel {
    fn deliver(&self) {
        unsafe { *self.0.get() *= 2 }
    }
}

fn trips(pool: Option<&ThreadPool>, group: usize, n: u64) {
    let mut parcels: Vec<Parcel> = (0..group).map(|_| Parcel(UnsafeCell::new(0))).collect();
    let mut wrong = 0;
    let mut one = |first: u64| {
        for (i, parcel) in parcels.iter_mut().enumerate() {
            *parcel.0.get_mut() = first + i as u64;
        }
        match pool {
            Some(pool) if group == 1 => pool.install(|| parcels[0].deliver()),
            Some(pool) => pool.in_place_scope(|s| {
                for parcel in &parcels {
                    s.spawn(move |_| parcel.deliver());
                }
            }),
            None => rayon::scope(|s| {
                for parcel in &parcels {
                    s.spawn(move |_| parcel.deliver());
                }
            }),
        }
        for (i, parcel) in parcels.iter_mut().enumerate() {
            wrong += u64::from(*parcel.0.get_mut() != 2 * (first + i as u64));
        }
    };
    for i in 1..=WARM_UP_CALLS {
        one(i);
    }
    let before = Usage::read();
    let start = now();
    for i in 1..=n {
        one(i);
    }
    let tasks = n * group as u64;
    print_metric("ns_per_task", (now() - start) as f64 / tasks as f64);
    before.print_since(tasks);
    check(wrong == 0, "a task had not run when its wait returned");
}

fn trips_outside(group: usize, n: u64) {
    trips(Some(&new_pool(WORKERS)), group, n);
}

fn trips_inside(group: usize, n: u64) {
    new_pool(WORKERS).install(|| trips(None, group, n));
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let n = args.last().and_then(|n| n.parse().ok()).unwrap_or(0);
    let workload = if args.len() >= 3 && n > 0 { args[args.len() - 2].as_str() } else { "" };
    match workload {
        "flood1" => flood_from(1, n),
        "flood4" => flood_from(4, n),
        "tree" => tree(n),
        "fib" => fib(n),
        "work1us" => work_for(1000.0, n),
        "work10us" => work_for(10000.0, n),
        "paced" => paced(n),
        "idle" => idle(n),
        "crowd" => crowd(n),
        "trip_outside" => trips_outside(1, n),
        "trip_inside" => trips_inside(1, n),
        "groups_outside" => trips_outside(GROUP_SIZE, n),
        "groups_inside" => trips_inside(GROUP_SIZE, n),
        _ => {
            eprintln!("usage: {} WORKLOAD N", args[0]);
            std::process::exit(2);
        }
    }
}
