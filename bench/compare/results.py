# SPDX-License-Identifier: MIT
"""The numbers of all rounds: kept, written as CSV, and reduced to medians."""

import csv
import math
import statistics


class Results:
    def __init__(self):
        self.values = {}  # (workload, peer, metric) -> the value of each round
        self.failures = {}  # (workload, peer) -> why it has no values
        self.rows = []

    def add(self, workload, peer, round_number, metrics):
        for metric, value in metrics.items():
            self.values.setdefault((workload, peer, metric), []).append(value)
            self.rows.append((workload, peer, round_number, metric, value))

    def fail(self, workload, peer, reason):
        self.failures[workload, peer] = reason

    def has(self, workload, peer):
        return any(key[:2] == (workload, peer) for key in self.values)

    def median(self, workload, peer, metric):
        """None without values; none of a peer that failed later, either."""
        values = self.values.get((workload, peer, metric))
        if not values or (workload, peer) in self.failures:
            return None
        return statistics.median(values)

    def spread(self, workload, peer, metric):
        values = self.values[workload, peer, metric]
        return min(values), max(values)

    def geometric_mean(self, workloads, peer, metric):
        """Of the medians, over those workloads that this peer and the others can be compared in."""
        medians = [self.median(workload, peer, metric) for workload in workloads]
        if not medians or any(median is None or median <= 0 for median in medians):
            return None
        return math.exp(statistics.fmean(map(math.log, medians)))

    def write_csv(self, path, workloads):
        keys = {workload.key for workload in workloads}
        with open(path, "w", newline="", encoding="ascii") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("workload", "peer", "round", "metric", "value"))
            writer.writerows(row for row in self.rows if row[0] in keys)
            for (workload, peer), reason in sorted(self.failures.items()):
                if workload in keys:
                    writer.writerow((workload, peer, "", "failure", reason))

    def read_csv(self, path):
        """Adds what write_csv has written."""
        with open(path, newline="", encoding="ascii") as file:
            for row in csv.DictReader(file):
                if row["metric"] == "failure":
                    self.fail(row["workload"], row["peer"], row["value"])
                else:
                    value = {row["metric"]: float(row["value"])}
                    self.add(row["workload"], row["peer"], int(row["round"]), value)
