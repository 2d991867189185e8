#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks that every C and C++ file is formatted as .clang-format says.
#
# Usage: format.sh ROOT
# Exits with 77 (skipped) without clang-format 14: other versions format some lines differently.
set -eu

cd "$1"
formatter=
for candidate in clang-format-14 clang-format; do
    if "$candidate" --version 2>/dev/null | grep -q 'version 14\.'; then
        formatter=$candidate
        break
    fi
done
if [ -z "$formatter" ]; then
    echo "clang-format 14 is not installed"
    exit 77
fi

find include src queue cli tests examples bench \
    \( -name '*.[ch]' -o -name '*.cpp' -o -name '*.hpp' \) \
    -exec "$formatter" --dry-run -Werror --ferror-limit=3 {} +
