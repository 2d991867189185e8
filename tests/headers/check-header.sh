#!/bin/sh
# SPDX-License-Identifier: MIT
# Compiles a file that includes one public header, twice, and nothing else.
#
# Usage: check-header.sh HEADER STANDARD COMPILER...
set -eu

header=$1
standard=$2
shift 2

warnings="-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wundef"
case $standard in
c++*) language="c++" ;;
*)
    language="c"
    warnings="$warnings -Wc++-compat -Wstrict-prototypes"
    ;;
esac

printf '#include "%s"\n#include "%s"\nint weir_header_is_not_empty;\n' "$header" "$header" |
    "$@" -x "$language" "-std=$standard" $warnings -Werror -fsyntax-only -I "$(dirname "$header")" -
