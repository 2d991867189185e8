#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads what page.c prints as the text format says it is read, and checks what a reader may expect.

Every line is one of three kinds. A family has one HELP and one TYPE, in this order, and then its
samples, with nothing of another family between them. No sample comes twice, labels in any order.
Names are valid, escapes are the known ones, values are numbers; counters end in _total and do not
fall below zero; of a histogram the buckets grow, end with +Inf, and that is the count.

Usage: check.py PAGE [PROMTOOL]      with PROMTOOL: it is asked too
"""

import math
import re
import subprocess
import sys
from collections import defaultdict

# page.c knows them too.
NAMES = ["plain", 'quote" back\\slash new\nline, {a="b"} \u20ac']
KINDS = ["pool", "semaphore", "channel", "limiter", "window", "breaker", "lease_pool", "topic",
         "errgroup"]

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)')
HEAD = re.compile(r"# (HELP|TYPE) (\S+) (.*)")
SAMPLE = re.compile(rf"({NAME.pattern})(?:\{{(.*)\}})? (\S+)")
SUFFIXES = {"histogram": ["_bucket", "_sum", "_count"]}


class Wrong(Exception):
    pass


def unescape(text):
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], text)


def read_labels(text):
    labels, at = {}, 0
    while at < len(text):
        match = LABEL.match(text, at)
        if not match:
            raise Wrong(f"no label at {text[at:]!r}")
        if match[1] in labels:
            raise Wrong(f"the label {match[1]} comes twice")
        labels[match[1]] = unescape(match[2])
        at = match.end()
    return labels


def read_page(text):
    """[(family, type, help, [(name, labels, value)])]"""
    if not text.endswith("\n"):
        raise Wrong("the last line has no end")
    families, heads = [], defaultdict(dict)
    for line in text.split("\n")[:-1]:
        head = HEAD.fullmatch(line)
        sample = SAMPLE.fullmatch(line)
        if head:
            kind, name, rest = head.groups()
            if kind in heads[name]:
                raise Wrong(f"{name} has a second {kind}")
            heads[name][kind] = unescape(rest)
            if kind == "TYPE":
                if "HELP" not in heads[name]:
                    raise Wrong(f"{name} has no HELP before its TYPE")
                families.append((name, rest, heads[name]["HELP"], []))
        elif sample and families:
            name, labels, value = sample.groups()
            family, kind = families[-1][:2]
            if name not in [family + suffix for suffix in SUFFIXES.get(kind, [""])]:
                raise Wrong(f"{name} stands among the samples of {family}")
            families[-1][3].append((name, read_labels(labels or ""), float(value)))
        else:
            raise Wrong(f"what is {line!r}?")
    return families


def check_histogram(name, samples):
    rows = defaultdict(dict)
    for sample, labels, value in samples:
        key = tuple(sorted(item for item in labels.items() if item[0] != "le"))
        bucket = float(labels["le"]) if sample.endswith("_bucket") else sample[len(name):]
        if bucket in rows[key]:
            raise Wrong(f"{name} has {bucket} twice")
        rows[key][bucket] = value
    for row in rows.values():
        total, ns = row.pop("_count"), row.pop("_sum")
        bounds = list(row)
        if bounds != sorted(bounds) or bounds[-1] != math.inf:
            raise Wrong(f"the bounds of {name} are {bounds}")
        if list(row.values()) != sorted(row.values()) or row[math.inf] != total or ns < 0:
            raise Wrong(f"the counts of {name} are {row}, in all {total}")


def check_family(name, kind, text, samples):
    if not samples or not text:
        raise Wrong(f"{name} has no samples, or no help")
    if kind not in ("counter", "gauge", "histogram"):
        raise Wrong(f"{name} is a {kind}")
    if (kind == "counter") != name.endswith("_total"):
        raise Wrong(f"{name} is a {kind}")
    seen = [(sample, tuple(sorted(labels.items()))) for sample, labels, _ in samples]
    if len(set(seen)) != len(seen):
        raise Wrong(f"{name} has a sample twice")
    if kind == "histogram":
        check_histogram(name, samples)
    elif kind == "counter" and min(value for _, _, value in samples) < 0:
        raise Wrong(f"{name} is below zero")


def check_contents(families):
    """That all is there that page.c puts in, its names as it gave them."""
    for kind in KINDS:
        own = [family for family in families if family[0].startswith(f"weir_{kind}_")]
        if not own:
            raise Wrong(f"there is nothing of a {kind}")
        for name, _, _, samples in own:
            names = sorted({labels[kind] for _, labels, _ in samples})
            if names != sorted(NAMES):
                raise Wrong(f"{name} has the names {names}")
    by_name = {family[0]: family for family in families}
    things = by_name["app_things_total"]
    if things[2] != "Things, \\ and\nmore.":
        raise Wrong(f"the help is {things[2]!r}")
    labels = [sample[1] for sample in things[3]]
    if labels != [{"kind": NAMES[1 - i], "zone": NAMES[i]} for i in range(2)]:
        raise Wrong(f"the labels are {labels}")
    if {value for _, _, value in things[3]} != {1 / 3}:
        raise Wrong("a third is no third")
    done = [value for _, labels, value in by_name["weir_pool_tasks_total"][3]
            if labels == {"pool": "plain", "end": "done"}]
    if done != [100]:
        raise Wrong(f"{done} tasks are done")


def main():
    page = subprocess.run([sys.argv[1]], check=True, stdout=subprocess.PIPE).stdout
    families = read_page(page.decode("utf-8"))
    names = [family[0] for family in families]
    if len(set(names)) != len(names):
        raise Wrong("a family comes twice")
    for family in families:
        check_family(*family)
    check_contents(families)
    print(f"{len(families)} families, {sum(len(family[3]) for family in families)} samples")
    if len(sys.argv) > 2:
        subprocess.run([sys.argv[2], "check", "metrics"], check=True, input=page)


main()
