#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs an example and compares what it prints with what it should.
#
# Usage: expect.sh PROGRAM FILE [ARGUMENT...]
set -eu

program=$1
expected=$2
shift 2

# What goes to standard error is shown by the test runner and counts as a failure.
got=$(mktemp -d)
trap 'rm -rf "$got"' EXIT
"$program" "$@" >"$got/out" 2>"$got/err" || {
    echo "exit status $?"
    cat "$got/out" "$got/err"
    exit 1
}
diff -u "$expected" "$got/out"
diff -u /dev/null "$got/err"
