// SPDX-License-Identifier: MIT

import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.ForkJoinTask;
import java.util.concurrent.ForkJoinWorkerThread;
import java.util.concurrent.Future;
import java.util.concurrent.RecursiveTask;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * Java's pools, in two forms: "executor", a ThreadPoolExecutor with an ArrayBlockingQueue of 1024,
 * and "forkjoin", a ForkJoinPool, which has no bound.
 *
 * Usage: Peer FORM WORKLOAD N, with the workloads and the output of workloads.c. The virtual
 * machine compiles what runs often, so each workload runs in full before it is measured.
 */
public final class Peer {
    static final int BOUND = 1024;
    static final int GROUP_SIZE = 8;
    static final int WORKERS = 2;
    static final int CROWD_WORKERS = 16;
    static final int CROWD_PRODUCERS = 8;
    static final int WARM_UP_TASKS = 10000;
    static final int WARM_UP_CALLS = 10000;
    static final long PERIOD = 200_000;
    static final long SETTLE_MS = 100;
    static final long COMPILED_MS = 1000; // until the compiler's threads have come to rest

    static boolean forkJoin;

    /** A thread of the executor; only they run a task inline when the queue is full. */
    static final class Worker extends Thread {
        Worker(Runnable target) {
            super(target);
        }
    }

    static void whenFull(Runnable task, ThreadPoolExecutor executor) {
        if (Thread.currentThread() instanceof Worker) {
            task.run();
            return;
        }
        try {
            executor.getQueue().put(task);
        } catch (InterruptedException e) {
            throw new RejectedExecutionException(e);
        }
    }

    static ExecutorService open(int workers) {
        if (forkJoin) {
            return new ForkJoinPool(workers);
        }
        ThreadPoolExecutor executor = new ThreadPoolExecutor(workers, workers, 0,
                TimeUnit.SECONDS, new ArrayBlockingQueue<>(BOUND), Worker::new, Peer::whenFull);
        executor.prestartAllCoreThreads(); // else the first tasks go past the queue
        return executor;
    }

    /** Waits until every task has ended, those that tasks submit too. */
    static void finish(ExecutorService pool, long count) throws InterruptedException {
        if (forkJoin) {
            Measure.check(((ForkJoinPool) pool).awaitQuiescence(1, TimeUnit.HOURS), "not at rest");
        } else {
            Tally.await(count);
        }
        pool.shutdown();
        Measure.check(pool.awaitTermination(1, TimeUnit.HOURS), "the pool did not end");
    }

    interface Task {
        void run(long i);
    }

    static void produce(ExecutorService pool, long first, long last, Task task) {
        for (long i = first; i <= last; i++) {
            long own = i;
            pool.execute(() -> task.run(own));
        }
    }

    /** Returns how long it took until all n tasks had run. */
    static long flood(ExecutorService pool, int producers, long n, Task task)
            throws InterruptedException {
        CountDownLatch start = new CountDownLatch(1);
        Thread[] threads = new Thread[producers];
        for (int p = 0; p < producers; p++) {
            long first = n * p / producers + 1;
            long last = n * (p + 1) / producers;
            threads[p] = new Thread(() -> {
                try {
                    start.await();
                } catch (InterruptedException e) {
                    return; // the count comes out wrong
                }
                produce(pool, first, last, task);
            });
            threads[p].start();
        }
        long began = System.nanoTime();
        start.countDown();
        for (Thread thread : threads) {
            thread.join();
        }
        finish(pool, n);
        return System.nanoTime() - began;
    }

    static void floodFrom(int producers, long n) throws InterruptedException {
        flood(open(WORKERS), producers, n, Tally::add);
        Tally.check(n);
        Tally.reset();
        ExecutorService pool = open(WORKERS);
        long resident = Measure.readStatus("VmRSS:");
        Measure.resetPeak();
        Usage before = new Usage();
        long elapsed = flood(pool, producers, n, Tally::add);
        Measure.print("ns_per_task", (double) elapsed / n);
        before.printSince(n);
        Measure.print("growth_kb", Math.max(0, Measure.readStatus("VmHWM:") - resident));
        Tally.check(n);
    }

    static void visit(ExecutorService pool, long node, long firstLeaf) {
        if (node < firstLeaf) {
            pool.execute(() -> visit(pool, 2 * node, firstLeaf));
            pool.execute(() -> visit(pool, 2 * node + 1, firstLeaf));
        }
        Tally.add(node);
    }

    static void tree(long depth) throws InterruptedException {
        long firstLeaf = 1L << depth;
        long nodes = 2 * firstLeaf - 1;
        for (int round = 0; round < 2; round++) {
            Tally.reset();
            ExecutorService pool = open(WORKERS);
            Usage before = new Usage();
            long began = System.nanoTime();
            pool.execute(() -> visit(pool, 1, firstLeaf));
            finish(pool, nodes);
            if (round == 1) {
                Measure.print("ns_per_task", (double) (System.nanoTime() - began) / nodes);
                before.printSince(nodes);
            }
            Tally.check(nodes);
        }
    }

    static final class Fib extends RecursiveTask<Long> {
        private static final long serialVersionUID = 1;

        final int n;

        Fib(int n) {
            this.n = n;
        }

        @Override
        protected Long compute() {
            return of(n);
        }

        static long of(int n) {
            if (n < 2) {
                return n;
            }
            Fib forked = new Fib(n - 1);
            forked.fork();
            long own = of(n - 2);
            return forked.join() + own;
        }
    }

    static long executorFib(ExecutorService pool, int n)
            throws InterruptedException, ExecutionException {
        if (n < 2) {
            return n;
        }
        Future<Long> forked = pool.submit(() -> executorFib(pool, n - 1));
        long own = executorFib(pool, n - 2);
        return forked.get() + own;
    }

    static long callFib(ExecutorService pool, int n)
            throws InterruptedException, ExecutionException {
        if (forkJoin) {
            return ((ForkJoinPool) pool).invoke(new Fib(n));
        }
        return pool.submit(() -> executorFib(pool, n)).get();
    }

    static void fib(long n) throws InterruptedException, ExecutionException {
        ExecutorService pool = open(WORKERS);
        for (int round = 0; round < 3; round++) {
            Usage before = new Usage();
            long began = System.nanoTime();
            long value = callFib(pool, (int) n);
            long calls = 2 * Measure.fibValue(n + 1) - 1;
            if (round == 2) {
                Measure.print("ns_per_call", (double) (System.nanoTime() - began) / calls);
                before.printSince(calls);
            }
            Measure.check(value == Measure.fibValue(n), "a wrong sum");
        }
        pool.shutdown();
    }

    static void workFor(double ns, long n) throws InterruptedException {
        long steps = Measure.workSteps(ns);
        Task task = i -> {
            if (Measure.work(i, steps) == 0) {
                Measure.sink = 1;
            }
            Tally.add(i);
        };
        flood(open(WORKERS), 1, n, task);
        Tally.reset();
        ExecutorService pool = open(WORKERS);
        Usage before = new Usage();
        long elapsed = flood(pool, 1, n, task);
        Measure.print("efficiency", n * ns / WORKERS / elapsed);
        before.printSince(n);
        Tally.check(n);
    }

    static void paced(long n) throws InterruptedException {
        flood(open(WORKERS), 1, WARM_UP_TASKS, Tally::add);
        Tally.reset();
        ExecutorService pool = open(WORKERS);
        long[] stamps = new long[(int) n];
        Thread.sleep(SETTLE_MS);
        Usage before = new Usage();
        long at = System.nanoTime();
        for (int i = 0; i < n; i++) {
            int own = i;
            at += PERIOD;
            for (long left = at - System.nanoTime(); left > 0; left = at - System.nanoTime()) {
                LockSupport.parkNanos(left);
            }
            stamps[i] = System.nanoTime();
            pool.execute(() -> {
                stamps[own] = System.nanoTime() - stamps[own];
                Tally.add(own + 1);
            });
        }
        finish(pool, n);
        before.printSince(n);
        Tally.check(n);
        Measure.printDelays(stamps);
    }

    static void idle(long milliseconds) throws InterruptedException {
        ExecutorService pool = open(WORKERS);
        produce(pool, 1, WARM_UP_TASKS, Tally::add);
        Tally.await(WARM_UP_TASKS);
        for (int look = 0; look < 100; look++) {
            new Usage(); // looking costs much less once it is compiled
        }
        Thread.sleep(COMPILED_MS);
        Usage before = new Usage();
        Thread.sleep(milliseconds);
        Usage after = new Usage();
        double seconds = milliseconds / 1000.0;
        Measure.print("cpu_us_per_s", (after.livingCpu - before.livingCpu) / 1000.0 / seconds);
        Measure.print("switches_per_s", (after.switches - before.switches) / seconds);
        Tally.check(WARM_UP_TASKS);
        pool.shutdown();
    }

    static void crowd(long n) throws InterruptedException {
        long[] stamps = new long[(int) n];
        flood(open(CROWD_WORKERS), CROWD_PRODUCERS, n, Tally::add);
        Tally.reset();
        ExecutorService pool = open(CROWD_WORKERS);
        Thread[] threads = new Thread[CROWD_PRODUCERS];
        Usage before = new Usage();
        long began = System.nanoTime();
        for (int p = 0; p < CROWD_PRODUCERS; p++) {
            int first = (int) (n * p / CROWD_PRODUCERS);
            int last = (int) (n * (p + 1) / CROWD_PRODUCERS);
            threads[p] = new Thread(() -> {
                for (int i = first; i < last; i++) {
                    int own = i;
                    stamps[i] = System.nanoTime();
                    pool.execute(() -> {
                        stamps[own] = System.nanoTime() - stamps[own];
                        Tally.add(own + 1);
                    });
                }
            });
            threads[p].start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        finish(pool, n);
        Measure.print("ns_per_task", (double) (System.nanoTime() - began) / n);
        before.printSince(n);
        Tally.check(n);
        Measure.printDelays(stamps);
    }

    /** Submits a task for each parcel and waits for all. */
    static void trip(ExecutorService pool, Future<?>[] futures, long[] parcels)
            throws InterruptedException, ExecutionException {
        for (int i = 0; i < parcels.length; i++) {
            int own = i;
            Runnable task = () -> parcels[own] *= 2;
            boolean inside = Thread.currentThread() instanceof ForkJoinWorkerThread;
            futures[i] = inside ? ForkJoinTask.adapt(task).fork() : pool.submit(task);
        }
        for (Future<?> future : futures) {
            future.get();
        }
    }

    static void tripsHere(ExecutorService pool, int group, long n)
            throws InterruptedException, ExecutionException {
        long[] parcels = new long[group];
        Future<?>[] futures = new Future<?>[group];
        long wrong = 0;
        long began = 0;
        Usage before = null;
        for (long trip = 1; trip <= WARM_UP_CALLS + n; trip++) {
            if (trip == WARM_UP_CALLS + 1) {
                before = new Usage();
                began = System.nanoTime();
            }
            for (int i = 0; i < group; i++) {
                parcels[i] = trip + i;
            }
            trip(pool, futures, parcels);
            for (int i = 0; i < group; i++) {
                wrong += parcels[i] == 2 * (trip + i) ? 0 : 1;
            }
        }
        Measure.print("ns_per_task", (double) (System.nanoTime() - began) / (n * group));
        before.printSince(n * group);
        Measure.check(wrong == 0, "a task had not run when its wait returned");
    }

    static void trips(int group, boolean inside, long n)
            throws InterruptedException, ExecutionException {
        ExecutorService pool = open(WORKERS);
        if (inside) {
            pool.submit(() -> {
                tripsHere(pool, group, n);
                return null;
            }).get();
        } else {
            tripsHere(pool, group, n);
        }
        pool.shutdown();
    }

    static boolean run(String workload, long n) throws InterruptedException, ExecutionException {
        switch (workload) {
            case "flood1" -> floodFrom(1, n);
            case "flood4" -> floodFrom(4, n);
            case "tree" -> tree(n);
            case "fib" -> fib(n);
            case "work1us" -> workFor(1000, n);
            case "work10us" -> workFor(10000, n);
            case "paced" -> paced(n);
            case "idle" -> idle(n);
            case "crowd" -> crowd(n);
            case "trip_outside" -> trips(1, false, n);
            case "trip_inside" -> trips(1, true, n);
            case "groups_outside" -> trips(GROUP_SIZE, false, n);
            case "groups_inside" -> trips(GROUP_SIZE, true, n);
            default -> {
                return false;
            }
        }
        return true;
    }

    public static void main(String[] args) throws InterruptedException, ExecutionException {
        new Usage(); // loads what it needs, so that this is not measured
        forkJoin = args.length == 3 && args[0].equals("forkjoin");
        if (args.length != 3 || !run(args[1], Long.parseLong(args[2]))) {
            System.err.println("usage: Peer executor|forkjoin WORKLOAD N");
            System.exit(2);
        }
    }
}
