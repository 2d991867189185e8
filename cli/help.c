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
    "  weir run gzip -9 ::: *.log                       compress files, one for each CPU\n"
    "  find . -name '*.wav' -print0 | weir run -0 'lame {} -o {.}.mp3'\n"
    "  weir run -j8 -k curl -sf :::: urls.txt           eight at once, output in order\n"
    "  weir run --retries 5 --backoff 1s..1m --timeout 30s fetch :::: urls.txt\n"
    "  weir run --joblog log --resume ./job :::: list   go on where a run was stopped\n"
    "  weir run --halt now,fail=1 make -C ::: a b c     stop everything at the first failure\n"
    "  weir run --header --colsep , 'mv {old} {new}' :::: names.csv\n"
    "  weir run --pipe --block 10M -k wc -l <big        cut a file into pieces\n"
    "  weir run --dry-run 'ssh {1} uptime {2}' ::: a b ::: x y\n"
    "\n"
    "In COMMAND: {} record, {.} no extension, {/} base name, {//} folder, {/.} both, {#} number,\n"
    "{%} slot, {1} {1.} ... column or source, {name} column or JSON member. A COMMAND of one word\n"
    "with blanks or shell characters is run by sh, and what is put in is quoted.\n"
    "\n"
    "Input      -a FILE  -0 (NUL between records)  -d C  -C, --colsep STR  --header  --json  "
    "--link\n"
    "           -n N (records a job)  -X (as many as fit)  --pipe [--block SIZE]\n"
    "Command    -I STR (for {})  --shell  --no-shell\n"
    "Slots      -j N | N% | +N | -N | 0 | FILE\n"
    "Output     --group  --line-buffer  -u  -k  --tag  --tagstring STR  --results DIR\n"
    "Failure    --retries N  --backoff FIRST[..MAX]  --retry-on CODE,signal,timeout\n"
    "           --halt now|soon,fail|success|done=N|N%  --timeout D|N%  --kill-after D\n"
    "           --deadline D  --grace D\n"
    "Logs       --joblog FILE  --resume  --resume-failed  --retry-failed  --log FILE\n"
    "Restraint  --delay D  --rate N[/s|/m|/h]  --load N  --memfree SIZE  --nice N\n"
    "           --breaker PERCENT/CALLS,OPEN\n"
    "Seeing     --bar  --no-bar  --progress FILE  --metrics FILE  --trace FILE  --dry-run  -v  -q\n"
    "\n"
    "D: 300ms 1.5 30s 5m 2h 1d. SIZE: 64k 1M 2G. INT, TERM or HUP: start no more; twice: TERM to\n"
    "the jobs; three times: KILL. USR1: a status line.\n"
    "Exit: 0 all succeeded; 1-100 so many failed, 101 more; 124 --deadline; 125 weir itself;\n"
    "129, 130, 143 stopped by a signal before all was run.\n";

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
