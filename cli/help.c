/* SPDX-License-Identifier: MIT */
/* help.c - the texts of `weir help` and `weir run --help`. */
#include "help.h"

#include "complain.h"

#include <stdio.h>
#include <string.h>

static const char of_weir[] =
    "weir - run many jobs, a bounded number at once\n"
    "\n"
    "  weir run [OPTION...] COMMAND [ARG...] [::: VALUE...]   run a command for each record\n"
    "  weir help [SUBCOMMAND]                                 this text, or one of a subcommand\n"
    "  weir version                                           which weir this is\n"
    "\n"
    "See weir run --help, weir(1) and weir-run(1).\n";

static const char of_run[] =
    "weir run [OPTION...] [--] COMMAND [ARG...] [::: VALUE...]... [:::: FILE...]...\n"
    "Runs COMMAND for each line of standard input, of FILEs, or for each VALUE.\n"
    "\n"
    "  weir run gzip -9 ::: *.log                    compress files, one on each CPU\n"
    "  find . -name '*.wav' -print0 | weir run -0 'lame {} {.}.mp3'   any file name\n"
    "  weir run -j8 -k curl -sf :::: urls.txt        eight at once, output in order\n"
    "  weir run --retries 5 --backoff 1s..1m --timeout 30s curl -sfO :::: urls.txt\n"
    "  weir run --joblog log --resume ./job :::: list     go on where a run stopped\n"
    "  weir run --halt now,fail=1 make -C ::: a b c     all stop at the first failure\n"
    "  weir run --header --colsep , 'mv {old} {new}' :::: names.csv\n"
    "  weir run --pipe --block 10M -k wc -l <big     cut a file into pieces\n"
    "  weir run --dry-run 'ssh {1} uptime {2}' ::: a b ::: x y      only print it\n"
    "\n"
    "In COMMAND: {} the record, {.} without extension, {/} base name, {//} folder,\n"
    "{/.} base name without extension, {#} sequence number, {%} slot, {1} {1.} ...\n"
    "column or source, {name} column or JSON member. Without any the record is\n"
    "appended. A COMMAND of one word with blanks or characters of the shell is run\n"
    "by sh; what is put into it is quoted for the place where it stands.\n"
    "\n"
    "Input\n"
    "  -a, --arg-file FILE   records from FILE (- is standard input)\n"
    "  -0, --null            they end with NUL        -d, --delimiter C  with C\n"
    "  -C, --colsep STR      columns are between STR  --header  the first names them\n"
    "  --json                a record is a JSON object\n"
    "  --link                sources side by side, not every combination\n"
    "  -n, --max-args N      N records a job          -X, --fill  as many as fit\n"
    "  --pipe                blocks of standard input are the jobs' standard input\n"
    "  --block SIZE          so large (1M)\n"
    "Command\n"
    "  -I, --replace STR     another name for {}\n"
    "  --shell, --no-shell   have sh read the command; never\n"
    "Slots\n"
    "  -j, --jobs N          N, N% of the CPUs, +N, -N, 0 (up to 1000), or a FILE\n"
    "                        that says so, and is read again whenever a job ends\n"
    "Output\n"
    "  --group               each job's when it has ended (the default)\n"
    "  --line-buffer         whole lines as they come     -u, --ungroup  untouched\n"
    "  -k, --keep-order      in the order of the input\n"
    "  --tag, --tagstring STR   put the record, or STR, before each line\n"
    "  --results DIR         DIR/SEQ/{command,stdout,stderr,status}\n"
    "Failure\n"
    "  --retries N           N attempts in all       --backoff FIRST[..MAX]  pauses\n"
    "  --retry-on LIST       codes, signal, timeout: what is tried again\n"
    "  --halt now|soon,fail|success|done=N|N%    when to start nothing more\n"
    "  --timeout D|N%        of a job: TERM; then, after --kill-after D (5s), KILL\n"
    "  --deadline D          of the run              --grace D  between signals\n"
    "Logs\n"
    "  --joblog FILE         a row a job             --log FILE  JSON an attempt\n"
    "  --resume              leave out what has ended by the job log\n"
    "  --resume-failed       only what succeeded     --retry-failed  run its failures\n"
    "Restraint\n"
    "  --delay D             between starts          --rate N[/s|/m|/h]\n"
    "  --load N              no start above it       --memfree SIZE  nor below\n"
    "  --breaker PERCENT/CALLS,OPEN   pause when so many fail   --nice N\n"
    "Seeing\n"
    "  --bar, --no-bar       on the terminal         --progress FILE  JSON a second\n"
    "  --metrics FILE        for Prometheus          --trace FILE  for Perfetto\n"
    "  --dry-run             print the commands      -v, --verbose  before output\n"
    "  -q, --quiet           no summary              -h, --help\n"
    "\n"
    "D: 300ms 1.5 30s 5m 2h 1d. SIZE: 64k 1M 2G. Signals: the first INT, TERM or HUP\n"
    "starts nothing more, the second sends TERM to the jobs, the third KILL; USR1:\n"
    "a status line. Exit: 0 all succeeded, 1-100 so many failed, 101 more, 124\n"
    "--deadline, 125 weir itself, 129 130 143 stopped by that signal.\n";

int help_say(const char *subcommand)
{
    const char *text = of_weir;
    if (subcommand != NULL && strcmp(subcommand, "run") == 0)
        text = of_run;
    else if (subcommand != NULL && strcmp(subcommand, "help") != 0 &&
             strcmp(subcommand, "version") != 0)
        return complain("there is no help for '%s'; see weir help", subcommand);
    if (fputs(text, stdout) < 0 || fflush(stdout) != 0)
        return complain("standard output cannot be written");
    return 0;
}
