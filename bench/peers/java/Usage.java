// SPDX-License-Identifier: MIT

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/** What the process, the virtual machine's own threads included, has used so far. */
final class Usage {
    final long cpu; // ns, in steps of 10 ms
    final long livingCpu; // ns, of the threads that live
    final long switches; // voluntary ones, likewise

    Usage() {
        long total = 0;
        long nanoseconds = 0;
        try (DirectoryStream<Path> threads = Files.newDirectoryStream(Path.of("/proc/self/task"))) {
            for (Path thread : threads) {
                try {
                    total += Measure.statusNumber(thread.resolve("status"),
                            "voluntary_ctxt_switches:");
                    String times = Files.readString(thread.resolve("schedstat"));
                    nanoseconds += Long.parseLong(times.split(" ")[0]);
                } catch (NoSuchFileException e) {
                    continue; // the thread has just ended
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        switches = total;
        livingCpu = nanoseconds;
        cpu = ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean())
                .getProcessCpuTime();
    }

    void printSince(long tasks) {
        Usage after = new Usage();
        double more = Math.max(0, after.switches - switches);
        Measure.print("switches_per_task", more / tasks);
        Measure.print("cpu_ns_per_task", (double) (after.cpu - cpu) / tasks);
    }
}
