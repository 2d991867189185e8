#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the parts of a program, and looks at what ThreadSanitizer makes of it.
#
# Usage: run.sh PROGRAM PART clean|race
set -eu

program=$1
part=$2
expected=$3

# ThreadSanitizer's memory layout and a wide randomization of addresses exclude each other.
launcher=
if setarch "$(uname -m)" -R true 2>/dev/null; then
    launcher="setarch $(uname -m) -R"
fi

status=0
# shellcheck disable=SC2086
output=$(TSAN_OPTIONS='exitcode=66 halt_on_error=0' $launcher "$program" "$part" 2>&1) || status=$?

case $expected,$status,$output in
clean,0,through) exit 0 ;;
race,66,*'data race'*'add_without_order'*) exit 0 ;;
esac
echo "expected: $expected; the program ended with $status, and printed:"
echo "$output"
exit 1
