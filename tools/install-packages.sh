#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the Debian packages that a group of commands needs, if any are missing.
#
# Usage: tools/install-packages.sh GROUP...       groups: see tools/packages
#
# Calls apt-get as root or through sudo. Where neither is possible it names the packages to install
# and exits with 1. When nothing is missing it calls nothing and prints nothing.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)

if [ $# -eq 0 ]; then
    echo "usage: tools/install-packages.sh GROUP..." >&2
    exit 2
fi

members() {
    awk -v group="$1" '!/^#/ { for (i = 2; i <= NF; i++) if ($i == group) print $1 }' \
        "$root/tools/packages"
}

needed=$(members all)
for group in "$@"; do
    found=$(members "$group")
    if [ -z "$found" ]; then
        echo "install-packages: no package belongs to a group named '$group'" >&2
        exit 2
    fi
    needed="$needed $found"
done

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "install-packages: not a Debian system. Install its names for these packages:" >&2
    echo "   " $needed >&2
    echo "and use meson directly: meson setup build && meson test -C build" >&2
    exit 1
fi

missing=
for package in $needed; do
    status=$(dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null) || status=
    case $status in
    installed*) ;;
    *) missing="$missing $package" ;;
    esac
done
if [ -z "$missing" ]; then
    exit 0
fi

give_up() {
    echo "install-packages: $1. Install these packages, then run the command again:" >&2
    echo "    apt-get install --no-install-recommends$missing" >&2
    exit 1
}

if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif ! command -v sudo >/dev/null 2>&1; then
    give_up "not root, and there is no sudo"
elif [ -t 0 ]; then
    as_root="sudo"
elif sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    give_up "not root, and sudo would ask for a password"
fi

# Another apt-get may be at work, on a machine that has just started for example.
apt() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 "$@"
}

echo "Installing$missing"
apt update || echo "install-packages: apt-get update failed, going on with what is known" >&2
apt install -y --no-install-recommends $missing || give_up "apt-get failed"
