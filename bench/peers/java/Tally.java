// SPDX-License-Identifier: MIT

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLongArray;

/** What each thread has run: a count and a sum, on a cache line of its own that only it writes. */
final class Tally {
    private static final int THREADS = 256;
    private static final int LINE = 16; // longs: two lines, as processors fetch them in pairs
    private static final AtomicLongArray ALL = new AtomicLongArray((THREADS + 1) * LINE);
    private static final AtomicInteger TAKEN = new AtomicInteger();
    private static final ThreadLocal<Integer> OWN =
            ThreadLocal.withInitial(() -> TAKEN.incrementAndGet() * LINE);

    private Tally() {
    }

    static void add(long value) {
        int own = OWN.get();
        ALL.setPlain(own + 1, ALL.getPlain(own + 1) + value);
        ALL.setRelease(own, ALL.getPlain(own) + 1);
    }

    static void reset() {
        for (int i = 0; i < ALL.length(); i++) {
            ALL.set(i, 0);
        }
    }

    private static long total(int field) {
        long total = 0;
        for (int i = 0; i < ALL.length(); i += LINE) {
            total += ALL.getAcquire(i + field);
        }
        return total;
    }

    /** Sleeps and looks until so many tasks have run. */
    static void await(long count) throws InterruptedException {
        while (total(0) < count) {
            Thread.sleep(1);
        }
    }

    /** Checks that the tasks 1 to count have run once each. */
    static void check(long count) {
        Measure.check(total(0) == count, "not every task ran once");
        Measure.check(total(1) == count * (count + 1) / 2, "the tasks got other arguments");
    }
}
