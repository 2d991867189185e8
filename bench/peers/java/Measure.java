// SPDX-License-Identifier: MIT

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;

/** What measure.c is for the programs in C. */
final class Measure {
    static volatile long sink;

    private Measure() {
    }

    static void check(boolean right, String what) {
        if (!right) {
            System.err.println("WRONG: " + what);
            System.exit(1);
        }
    }

    static void print(String name, double value) {
        System.out.printf(Locale.ROOT, "%s %.6g%n", name, value);
    }

    static void printDelays(long[] delays) {
        Arrays.sort(delays);
        check(delays[0] >= 0, "a task started before its submit, or never");
        String[] names = {"p50_us", "p99_us", "p999_us"};
        double[] parts = {0.5, 0.99, 0.999};
        for (int i = 0; i < names.length; i++) {
            int rank = (int) Math.ceil(parts[i] * delays.length);
            print(names[i], delays[Math.max(rank, 1) - 1] / 1000.0);
        }
    }

    /** The number in a line "key   number" of a status file; 0 if there is none. */
    static long statusNumber(Path file, String key) throws IOException {
        for (String line : Files.readAllLines(file)) {
            if (line.startsWith(key)) {
                return Long.parseLong(line.substring(key.length()).trim().split(" ")[0]);
            }
        }
        return 0;
    }

    /** In kB. */
    static long readStatus(String key) {
        try {
            return statusNumber(Path.of("/proc/self/status"), key);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static void resetPeak() {
        try {
            Files.writeString(Path.of("/proc/self/clear_refs"), "5");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static long work(long seed, long steps) {
        long x = seed;
        for (long i = 0; i < steps; i++) {
            x = x * 6364136223846793005L + 1442695040888963407L;
        }
        return x;
    }

    /** How many steps take ns, as measured now on an undisturbed stretch of this thread. */
    static long workSteps(double ns) {
        final int tries = 2000; // the first are interpreted
        final long steps = 20000;
        long best = Long.MAX_VALUE;
        for (int i = 0; i < tries; i++) {
            long start = System.nanoTime();
            sink = work(sink, steps);
            best = Math.min(best, System.nanoTime() - start);
        }
        return (long) (ns * steps / best);
    }

    static long fibValue(long n) {
        long a = 0;
        long b = 1;
        for (long i = 0; i < n; i++) {
            long next = a + b;
            a = b;
            b = next;
        }
        return a;
    }
}
