#!/bin/sh
# SPDX-License-Identifier: MIT
# The tests of checksum. Each runs in an empty folder of its own, which is removed afterwards.
#
# Usage: test.sh CHECKSUM TEST
#
# No test depends on how fast anything is. What must be under way at a certain moment is made to
# wait on a FIFO: opening one for writing returns once checksum has opened it for reading, and a
# line that checksum prints says that it has seen a signal.
set -eu

LC_ALL=C
export LC_ALL

checksum=$(realpath "$1")
name=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

fail() {
    echo "$1"
    for file in out err; do
        [ ! -f $file ] || { echo "--- $file"; head -c 4000 $file; }
    done
    exit 1
}

# Runs checksum with its output in the files out and err, and checks its exit status.
run() {
    expected=$1
    shift
    status=0
    "$checksum" "$@" >out 2>err || status=$?
    [ "$status" -eq "$expected" ] || fail "exit status $status instead of $expected"
}

same() {
    cmp "$1" "$2" || fail "$1 and $2 differ"
}

silent() {
    [ ! -s err ] || fail 'something on standard error'
}

# What sha256sum says of the files below a folder.
reference() {
    find "$@" -type f -print0 | sort -z | xargs -0 -r sha256sum
}

a_real_tree_equals_sha256sum() {
    reference /usr/include >expected
    [ "$(wc -l <expected)" -gt 100 ] || fail 'that is no tree to speak of'
    for workers in 1 2 8; do
        run 0 -j $workers /usr/include
        silent
        same expected out
    done
    run 0 /usr/include
    same expected out
    sha256sum --check --quiet out || fail 'sha256sum does not take it'
}

a_folder_is_sorted_by_whole_path() {
    mkdir -p t/a/b t/a.d t/a-d t/empty
    for path in t/a/x t/a/b/x t/a/b.x t/a.c t/a.d/x t/a-d/x t/ab t/B t/a!; do
        echo "$path" >$path
    done
    reference t >expected
    run 0 t
    same expected out
    # As find does it, a slash at the end is kept and not doubled.
    reference t/ >expected
    run 0 t/
    same expected out
    reference t/a//. >expected
    run 0 t/a//.
    same expected out
    (cd t && reference .) >expected
    (cd t && "$checksum" .) >out
    same expected out
}

odd_names_are_written_as_sha256sum_writes_them() {
    mkdir t
    newline='
'
    return=$(printf '\r')
    for odd in 'a b' "new${newline}line" 'back\slash' "carriage${return}return" '-n' '--help' '*' \
        '$HOME' "$(printf 'latin1\351')" 'grün' '\' "$newline" '"' "'"; do
        echo "$odd" >"t/$odd"
    done
    : >t/nothing
    reference t >expected
    [ "$(wc -l <expected)" -eq 15 ] || fail 'not all names came into being'
    run 0 t
    silent
    same expected out
    cd t
    sha256sum -- -n --help 'back\slash' >../expected
    "$checksum" -- -n --help 'back\slash' >../out
    cd ..
    same expected out
}

the_order_is_the_order_given() {
    mkdir t
    echo 1 >t/1
    echo 2 >t/2
    echo 3 >3
    sha256sum 3 t/2 t/1 t/2 3 3 t/1 t/2 >expected
    run 0 -j 4 3 t/2 t 3 3 t
    same expected out
}

links_are_followed_only_if_given() {
    mkdir t u
    echo one >t/one
    echo two >u/two
    ln -s ../u/two t/link
    ln -s ../u t/folder
    ln -s nowhere t/dangling
    ln -s t link
    mkfifo t/fifo
    sha256sum t/one >expected
    run 0 t
    silent
    same expected out
    sha256sum t/link link/one >expected
    run 0 t/link link
    same expected out
}

names_come_from_standard_input() {
    mkdir t
    for i in 1 2 3 4 5; do echo $i >t/$i; done
    sha256sum t/5 t/1 t/3 t/2 t/4 >expected
    # The last name may lack its NUL, and names on the command line may stand around the list.
    printf 't/1\0t/3\0t/2' >list
    run 0 t/5 - t/4 <list
    silent
    same expected out
    # A folder in the list counts as it does on the command line; a second list finds nothing more.
    sha256sum t/3 t/1 t/2 t/3 t/4 t/5 >expected
    printf 't/3\0t\0' | run 0 - -
    same expected out
    # More names than fit into any buffer, from a pipe.
    reference /usr/include >expected
    find /usr/include -type f -print0 | sort -z >list
    cat list | run 0 -j 3 -
    same expected out
    run 0 - </dev/null
    [ ! -s out ] || fail 'output for no names'
    # A list that cannot be read.
    run 1 t/1 - t/2 <t
    sha256sum t/1 t/2 >expected
    same expected out
    grep -q '^checksum: standard input: ' err || fail 'no word about standard input'
}

a_name_that_is_too_long_is_an_error_line() {
    echo 1 >1
    for length in 4095 4096 4097 10000; do
        {
            printf '1\0'
            head -c $length /dev/zero | tr '\0' x
            printf '\0001'
        } >list
        run 1 - <list
        sha256sum 1 1 >expected
        same expected out
        [ "$(grep -c 'File name too long' err)" -eq 1 ] || fail "not one error line for $length"
    done
}

an_empty_tree_prints_nothing() {
    mkdir -p t/a/b/c
    run 0 t
    silent
    [ ! -s out ] || fail 'output for no files'
}

what_cannot_be_read_is_an_error_line() {
    mkdir t
    echo 1 >t/1
    echo 2 >t/2
    ln -s nowhere dangling
    sha256sum t/1 t/2 t/1 >expected
    # Not even the superuser can read the start of a process's memory.
    run 1 t/1 missing missing/folder/ dangling /proc/self/mem '' t
    sort -o expected expected
    sort out >sorted
    [ "$(tail -n 2 out)" = "$(sha256sum t/1 t/2)" ] || fail 'what follows an error is not done'
    same expected sorted
    cat >expected <<'END'
checksum: missing: No such file or directory
checksum: missing/folder/: No such file or directory
checksum: dangling: No such file or directory
checksum: /proc/self/mem: Input/output error
checksum: : No such file or directory
END
    same expected err
    # A folder that may not be read, unless nothing is forbidden.
    chmod 0 t
    if ! ls t >/dev/null 2>&1; then
        run 1 t
        echo 'checksum: t: Permission denied' >expected
        same expected err
    fi
    chmod 755 t
}

# Starts checksum with one worker, which is held by the FIFO `hold` once this returns; then there
# are more files, more than the group takes, a list that does not end, and another file. Its output
# and its messages go to `out` and, by way of descriptor 4, to us.
start_held() {
    mkfifo hold list messages
    mkdir t
    echo first >first
    echo second >second
    echo last >last
    for i in $(seq 100); do echo $i >t/$i; done
    "$@" first hold second t - last <list >out 2>messages &
    pid=$!
    # Opening is what the other side waits for, in this order.
    exec 5>list 4<messages
    printf 'second\0' >&5
    exec 3>hold
}

left_undone() {
    sha256sum first >expected
    echo held | sha256sum | sed 's/-$/hold/' >>expected
    same expected out
    for line in 'second: left undone' 'standard input: left undone what it still lists' \
        'last: left undone'; do
        grep -qx "checksum: $line" err || fail "not told: $line"
    done
    # How far it has got in the folder is not known, but each file is either named or in the rest.
    for i in $(seq 100); do
        grep -qx "checksum: t/$i: left undone" err ||
            grep -q '^checksum: t: left undone' err || fail "not told: t/$i"
    done
}

# $1: the signal; $2: the exit status.
signal_finishes() {
    start_held env --default-signal="$1" "$checksum" -j 1
    kill -s "$1" $pid
    IFS= read -r line <&4
    echo "$line" >err
    echo held >&3
    exec 3>&-
    cat <&4 >>err
    status=0
    wait $pid || status=$?
    [ $status -eq "$2" ] || fail "exit status $status"
    case $line in
    "checksum: SIG$1: finishing the files that are being read; "*) ;;
    *) fail "unexpected: $line" ;;
    esac
    left_undone
}

sigterm_finishes_what_is_running() {
    signal_finishes TERM 143
}

sigint_finishes_what_is_running() {
    signal_finishes INT 130
}

# As in the background of a script: SIGINT is for those in the foreground.
an_ignored_sigint_stays_ignored() {
    start_held env --ignore-signal=INT "$checksum" -j 1
    kill -s INT $pid
    echo held >&3
    exec 3>&- 5>&-
    cat <&4 >err
    wait $pid || fail "exit status $?"
    silent
    [ "$(wc -l <out)" -eq 105 ] || fail 'not everything is done'
}

# The list stays open, and nothing more comes.
a_signal_ends_the_wait_for_names() {
    mkfifo hold list messages
    "$checksum" -j 1 - <list >out 2>messages &
    pid=$!
    exec 5>list 4<messages
    printf 'hold\0hal' >&5
    exec 3>hold
    kill -s TERM $pid
    IFS= read -r line <&4
    echo held >&3
    exec 3>&-
    cat <&4 >err
    status=0
    wait $pid || status=$?
    [ $status -eq 143 ] || fail "exit status $status"
    echo held | sha256sum | sed 's/-$/hold/' >expected
    same expected out
    echo 'checksum: standard input: left undone what it still lists' >expected
    same expected err
}

a_second_signal_ends_at_once() {
    start_held "$checksum" -j 1
    kill -s TERM $pid
    IFS= read -r line <&4
    kill -s TERM $pid
    # The FIFO is still open, and nothing was written to it.
    status=0
    wait $pid || status=$?
    [ $status -eq 143 ] || fail "exit status $status"
}

# The time may be over before anything has begun, on a slow machine: then more is left undone.
a_timeout_stops_what_is_running() {
    mkfifo hold
    mkdir t
    for file in first second t/1 t/2 last; do echo $file >$file; done
    # Never without a writer, and never with anything to read.
    exec 3<>hold
    run 124 -j 1 --timeout 1 first hold second t last
    sha256sum first >expected
    if [ -s out ]; then
        same expected out
    else
        grep -qx 'checksum: first: left undone' err || fail 'not told: first'
    fi
    for file in hold second last; do
        grep -qx "checksum: $file: left undone" err || fail "not told: $file"
    done
    grep -q '^checksum: t: left undone' err || grep -qx 'checksum: t/2: left undone' err ||
        fail 'not told: t/2'
    grep -qx 'checksum: stopped: the time is over' err || fail 'the reason is not told'
    # Nor is a FIFO that nobody has opened for writing an empty file.
    mkfifo nobody
    run 124 --timeout 1 nobody
    printf 'checksum: nobody: left undone\nchecksum: stopped: the time is over\n' >expected
    same expected err
}

a_timeout_that_is_not_reached_changes_nothing() {
    echo 1 >1
    sha256sum 1 >expected
    for seconds in 100 99.5 1e300 inf; do
        run 0 --timeout $seconds 1
        silent
        same expected out
    done
}

a_full_disk_is_an_error() {
    echo 1 >1
    status=0
    "$checksum" 1 >/dev/full 2>err || status=$?
    [ $status -eq 1 ] || fail "exit status $status"
    echo 'checksum: write error: No space left on device' >expected
    same expected err
    # Also when it shows long before the end.
    status=0
    "$checksum" /usr/include >/dev/full 2>err || status=$?
    [ $status -eq 1 ] || fail "exit status $status"
    same expected err
}

a_closed_output_is_an_error() {
    echo 1 >1
    status=0
    "$checksum" 1 >&- 2>err || status=$?
    [ $status -eq 1 ] || fail "exit status $status"
    echo 'checksum: write error: Bad file descriptor' >expected
    same expected err
    # With both closed, a pipe made by checksum would otherwise have its ends there.
    status=0
    "$checksum" 1 <&- >&- 2>err || status=$?
    [ $status -eq 1 ] || fail "exit status $status"
    same expected err
}

# One file that takes long comes first; far more files follow than may be out at once.
a_held_file_holds_back_only_the_output() {
    mkfifo hold
    seq 3000 | split -l 1 -a 4 -d - f
    echo held | sha256sum | sed 's/-$/hold/' >expected
    sha256sum f* >>expected
    "$checksum" -j 2 hold f* >out 2>err &
    pid=$!
    exec 3>hold
    echo held >&3
    exec 3>&-
    wait $pid || fail "exit status $?"
    silent
    same expected out
}

the_pool_counts_every_file() {
    seq 500 | split -l 1 -a 4 -d - f
    run 1 -j 3 --stats stats f* missing
    bytes=$(cat f* | wc -c)
    for line in files=500 failed=1 undone=0 "bytes=$bytes" workers=3 tasks_submitted=501 \
        tasks_done=501 tasks_failed=0 tasks_cancelled=0 tasks_expired=0 tasks_dropped=0; do
        grep -qx "$line" stats || { cat stats; fail "not in the counts: $line"; }
    done
    peak=$(sed -n 's/^tasks_peak_queued=//p' stats)
    [ "$peak" -le 44 ] || fail "$peak were queued"
    run 1 --stats missing/stats f0001
    grep -q '^checksum: missing/stats: No such file' err || fail 'nothing is said'
}

the_bar_is_drawn_on_a_terminal_only() {
    # Where there is no pseudo-terminal to be had, as in some containers, that is all to be said.
    script -qec true /dev/null </dev/null >/dev/null 2>&1 || exit 77
    seq 500 | split -l 1 -a 4 -d - f
    sha256sum f* >expected
    script -qec "'$checksum' f* >out" /dev/null </dev/null >seen || fail "exit status $?"
    same expected out
    tr '\r' '\n' <seen >bars
    grep -E '^100% \[#+\] 500/500 files  0.0/0.0 MB  .* MB/s  .* s *$' bars >/dev/null ||
        { cat bars; fail 'no bar'; }
    # What a list holds is not known before the end.
    printf '%s\0' f* >list
    script -qec "'$checksum' - <list >out" /dev/null </dev/null >seen || fail "exit status $?"
    same expected out
    tr '\r' '\n' <seen >bars
    grep -E '^100% \[#+\] 500/500 files ' bars >/dev/null || { cat bars; fail 'no bar at the end'; }
    # Digests and bar on one terminal: every digest has a line of its own.
    script -qec "'$checksum' f*" /dev/null </dev/null >seen || fail "exit status $?"
    tr '\r' '\n' <seen | grep -E '^[0-9a-f]{64}  f[0-9]{4}$' >out
    same expected out
    run 0 f*
    silent
}

wrong_usage_is_told() {
    echo 1 >1
    for arguments in '' '-j' '-j 0 1' '-j -1 1' '-j 1025 1' '-j 1x 1' '--timeout 0 1' \
        '--timeout -1 1' '--timeout nan 1' '--timeout 1s 1' '--unknown 1' '-x 1'; do
        # The arguments are words, to be split.
        run 2 $arguments
        grep -q '^Usage: checksum ' err || fail 'no usage'
        [ ! -s out ] || fail 'output'
    done
    run 0 --help
    silent
    grep -q '^Usage: checksum ' out || fail 'no help'
    status=0
    "$checksum" --help >/dev/full 2>err || status=$?
    [ $status -eq 1 ] || fail "exit status $status for help that was not written"
}

"$name"
