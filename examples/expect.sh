#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs an example and compares what it prints with what it should.
#
# Usage: expect.sh PROGRAM FILE
set -eu

# What goes to standard error is shown by the test runner and counts as a failure.
got=$(mktemp -d)
trap 'rm -rf "$got"' EXIT
"$1" >"$got/out" 2>"$got/err" || {
    echo "exit status $?"
    cat "$got/out" "$got/err"
    exit 1
}
diff -u "$2" "$got/out"
diff -u /dev/null "$got/err"
