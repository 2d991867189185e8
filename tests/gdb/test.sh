#!/bin/sh
# SPDX-License-Identifier: MIT
# Asks gdb, by weir-gdb.py, what a program that has locked itself up is doing: while it stands at
# its abort, and then from a core file that gdb has written of it.
#
# Usage: test.sh PROGRAM SCRIPT [LIBRARY]     skipped without gdb, or where it may not trace
#
# With LIBRARY, a shared one that the program uses, gdb finds the script as it finds what is
# installed: by the library's name.
set -eu

program=$1
script=$2
library=${3:-}
command -v gdb >/dev/null || { echo "gdb is not installed"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

if [ -n "$library" ]; then
    library=$(realpath "$library")
    mkdir -p "$folder/auto-load$(dirname "$library")"
    cp "$script" "$folder/auto-load$library-gdb.py"
    printf '%s\n' "add-auto-load-scripts-directory $folder/auto-load" \
        "add-auto-load-safe-path $folder/auto-load" >"$folder/settings"
else
    echo "source $script" >"$folder/settings"
fi

# The user's own settings are left out.
ask() {
    gdb -batch -nx -iex 'set debuginfod enabled off' -ix "$folder/settings" "$@" 2>&1
}

ask -ex run -ex 'weir pools' -ex 'weir workers' -ex 'weir queue' \
    -ex "generate-core-file $folder/core" "$program" >"$folder/live" </dev/null
if grep -q 'ptrace: Operation not permitted\|Could not trace' "$folder/live"; then
    echo "gdb may not trace here"
    exit 77
fi
ask -ex 'weir pools' -ex 'weir workers' -ex 'weir queue' "$program" "$folder/core" >"$folder/dead"

problems=0
expect() {
    grep -Eq "^$2\$" "$folder/$1" || { echo "$1: no line $2"; problems=1; }
}

worker='worker [01] \(thread [0-9]+, gdb.s [0-9]+\): running'
blocked='blocked in weir_channel_recv on 0x[0-9a-f]+'
for where in live dead; do
    expect $where 'pool 0x[0-9a-f]+ "hung": open, 2 workers, 5 of 16 queued'
    expect $where 'pool 0x[0-9a-f]+ "spare": open, 1 workers, 0 of 1024 queued'
    [ "$(grep -c '^worker [0-9]* (thread' "$folder/$where")" -eq 3 ] ||
        { echo "$where: not three workers"; problems=1; }
    expect $where "$worker wait_for_mail, $blocked"
    expect $where "$worker \"the \\\\\"inner\\\\\" one\", $blocked"
    expect $where 'worker [01]: within wait_for_inner'
    expect $where 'queued: 4 x send_mail'
    expect $where 'queued: 1 x "last"'
done
[ $problems -eq 0 ] || { cat "$folder/live" "$folder/dead"; exit 1; }
