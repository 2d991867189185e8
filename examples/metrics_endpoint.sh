#!/bin/sh
# SPDX-License-Identifier: MIT
# Starts metrics_endpoint on a free port, and reads its page.
#
# Usage: metrics_endpoint.sh PROGRAM curl|promtool
#
# promtool is that of the Debian package prometheus: the test is skipped where it is missing.
set -eu

program=$1
reader=$2
command -v curl >/dev/null || { echo "curl is not installed"; exit 77; }
command -v "$reader" >/dev/null || { echo "$reader is not installed"; exit 77; }

folder=$(mktemp -d)
mkfifo "$folder/address"
"$program" >"$folder/address" &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
read -r url <"$folder/address"

# Not through a proxy, whatever the environment says.
get() {
    curl --silent --show-error --noproxy '*' --max-time 20 "$@"
}

get --dump-header "$folder/head" "$url" >"$folder/page"
if [ "$reader" = promtool ]; then
    promtool check metrics <"$folder/page"
else
    grep -qi '^content-type: text/plain; version=0.0.4; charset=utf-8' "$folder/head"
    grep -qxF 'weir_pool_submitted_total{pool="jobs"} 40' "$folder/page"
    grep -qxF 'weir_pool_tasks_total{pool="jobs",end="done"} 38' "$folder/page"
    grep -qxF 'weir_pool_tasks_total{pool="jobs",end="failed"} 2' "$folder/page"
    grep -qxF 'weir_breaker_state{breaker="backend",state="closed"} 1' "$folder/page"
    grep -qxF '# TYPE app_uptime_seconds_total counter' "$folder/page"
    [ "$(get --output /dev/null --write-out '%{http_code}' "${url%metrics}")" = 404 ]
fi

kill "$server"
wait "$server"
