#!/bin/sh
# SPDX-License-Identifier: MIT
# Has log_analyser count a log of known content, longer than a block of it; then stops it while it
# waits for more.
#
# Usage: log_analyser.sh PROGRAM
set -eu

program=$1
folder=$(mktemp -d)
trap 'kill "${analyser-}" 2>/dev/null || true; rm -rf "$folder"' EXIT

awk 'BEGIN {
    for (i = 0; i < 30000; i++)
        printf "10.0.0.%d - - [30/Nov/2026:12:00:00 +0000] \"GET /page/%d HTTP/1.1\" %d00 %d\n",
               i % 250, i, i % 3 == 0 ? 2 : i % 3 == 1 ? 4 : 5, i
    print "this is no request"
    printf "10.0.0.1 - - [30/Nov/2026:12:00:00 +0000] \"GET / HTTP/1.1\" 304 -"
}' >"$folder/log"
cat >"$folder/expected" <<'END'
30001 requests, 449985000 bytes, 1 lines that are none
1xx: 0
2xx: 10000
3xx: 1
4xx: 10000
5xx: 10000
END
"$program" <"$folder/log" >"$folder/counted"
diff -u "$folder/expected" "$folder/counted"

# A pipe that stays open for writing. It holds 64 KiB: once more was written the program has read.
mkfifo "$folder/pipe"
"$program" <"$folder/pipe" >"$folder/counted" &
analyser=$!
exec 3>"$folder/pipe"
head -c 200000 "$folder/log" >&3
status=0
kill -TERM "$analyser"
wait "$analyser" || status=$?
analyser=
[ "$status" -eq 143 ]
grep -Eq '^[1-9][0-9]* requests' "$folder/counted"
