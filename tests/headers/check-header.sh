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
c++*)
    language="c++"
    warnings="$warnings -Wold-style-cast"
    ;;
*)
    language="c"
    warnings="$warnings -Wc++-compat -Wstrict-prototypes"
    ;;
esac

# With a use of the macros that are expressions, where the header has them.
printf '#include "%s"\n#include "%s"\n%s\nint weir_header_is_not_empty;\n' "$header" "$header" \
    '#ifdef WEIR_S
int64_t weir_durations[] = {WEIR_US(1), WEIR_MS(1u), WEIR_S(1l), WEIR_FOREVER};
#endif' |
    "$@" -x "$language" "-std=$standard" $warnings -Werror -fsyntax-only -I "$(dirname "$header")" -
