#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs stuck and compares what it prints with what it should, but for numbers that are never the
# same: times, threads, addresses. What the main thread is doing by then is nobody's business.
#
# Usage: stuck.sh PROGRAM FILE
set -eu

got=$(mktemp)
trap 'rm -f "$got"' EXIT
"$1" >"$got"
sed -E -e '/^thread [0-9]+: /d' \
    -e 's/[0-9.]+ (ns|us|ms|s)\b/52.3 ms/g' \
    -e 's/thread [0-9]+/thread 4711/' \
    -e 's/0x[0-9a-f]+/0x55d861097040/' "$got" | diff -u "$2" -
