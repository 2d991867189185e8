/* SPDX-License-Identifier: MIT */
/* help.c - the texts of `weir help` and of --help. */
#include "help.h"

#include "complain.h"

#include <stdio.h>
#include <string.h>

static const char of_weir[] =
    "weir - run many jobs, a bounded number at once, on one machine or on many\n"
    "\n"
    "  weir run [OPTION...] COMMAND [ARG...] [::: VALUE...]   run a command for each record\n"
    "  weir push [OPTION...] URL [::: VALUE...]               queue a job for each record\n"
    "  weir work [OPTION...] URL COMMAND [ARG...]             run a command for each job\n"
    "  weir jobs [OPTION...] URL [dead|pause|resume|cancel]   see and change what is queued\n"
    "  weir help [SUBCOMMAND]                                 this text, or one of a subcommand\n"
    "  weir version                                           which weir this is\n"
    "\n"
    "See weir run --help, weir(1), weir-run(1), weir-push(1), weir-work(1), weir-jobs(1).\n";

/* Of what reads records. */
#define INPUT                                                                                      \
    "Input\n"                                                                                      \
    "  -a, --arg-file FILE   records from FILE (- is standard input)\n"                            \
    "  -0, --null            they end with NUL        -d, --delimiter C  with C\n"                 \
    "  -C, --colsep STR      columns are between STR  --header  the first names them\n"            \
    "  --json                a record is a JSON object\n"                                          \
    "  --link                sources side by side, not every combination\n"

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
    "\n" INPUT "  -n, --max-args N      N records a job          -X, --fill  as many as fit\n"
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

static const char of_push[] =
    "weir push [OPTION...] URL [::: VALUE...]... [:::: FILE...]...\n"
    "Adds a job to a queue for each line of standard input, of FILEs, or for each VALUE.\n"
    "Workers on any machine take them: see weir work --help.\n"
    "\n"
    "  weir push redis://host/pictures ::: *.jpg\n"
    "  find . -name '*.wav' -print0 | weir push -0 redis://host/sound\n"
    "  weir push --key {} redis://host/pages :::: urls.txt    each at most once\n"
    "  weir push --header --colsep , --key {order} redis://host/mail :::: orders.csv\n"
    "  weir push --at 02:00 redis://host/nightly ::: backup   not before that time\n"
    "\n"
    "A job is its record, byte for byte. With --header the line with the names comes\n"
    "before it; several sources need --colsep STR, which is put between their values.\n"
    "Give weir work the same --colsep, --header or --json.\n"
    "\n"
    "URL: redis://[USER:PASSWORD@]HOST[:PORT]/QUEUE[?db=N&password-file=PATH], or\n"
    "redis+unix:///PATH?queue=QUEUE; by default WEIR_QUEUE_URL. A password is better\n"
    "kept in a file, or in WEIR_QUEUE_PASSWORD.\n"
    "\n" INPUT "Jobs\n"
    "  --key KEY             of a job, such as {} or {id}: one whose key is queued, or\n"
    "                        was done a short time ago, is not added again\n"
    "  --remember D          how long is a short time (1h)\n"
    "  --limit N             wait while so many jobs are queued (1000000)\n"
    "  --delay D             may start only after this\n"
    "  --at TIME             or only then: 18:30, 2026-12-31T18:30, ...Z, @SECONDS\n"
    "  --retries N           attempts in all (5)\n"
    "  --backoff FIRST[..MAX]   pauses between them (1s..10m)\n"
    "  -q, --quiet           print no counts          -h, --help\n"
    "\n"
    "Prints how many jobs were added, known and left out. Exit: 0 none was left out,\n"
    "1-100 so many records were, 101 more, 125 weir itself, or the server; 129 130 143\n"
    "stopped by that signal.\n";

static const char of_work[] =
    "weir work [OPTION...] URL [--] COMMAND [ARG...]\n"
    "Takes jobs from a queue and runs COMMAND for each, until a signal comes.\n"
    "\n"
    "  weir work redis://host/pictures mogrify -resize 800 {}\n"
    "  weir work -j8 --timeout 10m redis://host/sound 'lame {} {.}.mp3'\n"
    "  weir work --drain redis://host/pages curl -sfO        until nothing is left\n"
    "  weir work --header --colsep , redis://host/mail ./send {order} {address}\n"
    "  weir work --pipe redis://host/blobs ./handle          the record as its input\n"
    "\n"
    "Several workers, on any machines, share the jobs. One that fails is tried again\n"
    "after a pause, by whoever is free; after its last attempt it is dead: see weir jobs.\n"
    "A job is run at least once: if its worker dies, another one runs it. WEIR_ID names\n"
    "it. In COMMAND, {} and its kin stand for what they do in weir run.\n"
    "\n"
    "URL: as in weir push --help; by default WEIR_QUEUE_URL.\n"
    "\n"
    "Queue\n"
    "  --lease D             a worker that is silent for so long loses its jobs (30s)\n"
    "  --drain               end when nothing is queued, delayed or running\n"
    "Record\n"
    "  -C, --colsep STR      columns are between STR  --header  names come with each job\n"
    "  -0, --null            with --header: they end with NUL  -d, --delimiter C  with C\n"
    "  --json                a record is a JSON object\n"
    "  --pipe                it is the job's standard input\n"
    "Command\n"
    "  -I, --replace STR     another name for {}\n"
    "  --shell, --no-shell   have sh read the command; never\n"
    "Slots\n"
    "  -j, --jobs N          N, N% of the CPUs, +N, -N, 0 (up to 1000)\n"
    "Output\n"
    "  --group               each job's when it has ended (the default)\n"
    "  --line-buffer         whole lines as they come     -u, --ungroup  untouched\n"
    "  --tag, --tagstring STR   put the record, or STR, before each line\n"
    "  --results DIR         DIR/SEQ/{command,stdout,stderr,status}\n"
    "Failure\n"
    "  --retries N           attempts in all, whatever the job says\n"
    "  --backoff FIRST[..MAX]   likewise\n"
    "  --retry-on LIST       codes, signal, timeout: others are dead at once\n"
    "  --halt now|soon,fail|success|done=N       when to start nothing more\n"
    "  --timeout D|N%        of a job: TERM; then, after --kill-after D (5s), KILL\n"
    "  --deadline D          of this worker          --grace D  between signals\n"
    "Logs\n"
    "  --joblog FILE         a row an attempt        --log FILE  the same as JSON\n"
    "Restraint\n"
    "  --delay D             between starts          --rate N[/s|/m|/h]\n"
    "  --load N              no start above it       --memfree SIZE  nor below\n"
    "  --breaker PERCENT/CALLS,OPEN   pause when so many fail   --nice N\n"
    "Seeing\n"
    "  --bar, --no-bar       on the terminal         --progress FILE  JSON a second\n"
    "  --metrics FILE        for Prometheus          --trace FILE  for Perfetto\n"
    "  -v, --verbose         commands, before output -q, --quiet  no summary\n"
    "  -h, --help\n"
    "\n"
    "Signals: the first INT, TERM or HUP gives back what has not started and waits for\n"
    "what runs, the second sends TERM to the jobs, the third KILL. Exit: 0 it was told\n"
    "to stop; or it ended, and nothing failed; 1-100 so many attempts failed, 101 more;\n"
    "124 --deadline, 125 weir itself, or the server; 129 130 143 a signal ended --drain,\n"
    "or jobs that ran.\n";

static const char of_jobs[] =
    "weir jobs [OPTION...] URL [dead [retry|drop [ID]] | pause | resume | cancel ID|KEY]\n"
    "Shows what is in a queue, and changes it.\n"
    "\n"
    "  weir jobs URL                how many jobs are queued, delayed, running, dead; who\n"
    "                               runs which, for how long, and what is left of its lease\n"
    "  weir jobs URL dead           those that failed for good, with their last errors\n"
    "  weir jobs URL dead retry     queue them all again; with an ID, that one\n"
    "  weir jobs URL dead drop      delete them all; with an ID, that one\n"
    "  weir jobs URL pause          workers take no more jobs, until weir jobs URL resume\n"
    "  weir jobs URL cancel ID      delete a job by its ID or key; stop it if it runs\n"
    "\n"
    "URL: as in weir push --help; by default WEIR_QUEUE_URL.\n"
    "\n"
    "  --watch               look again every second\n"
    "  --json                an object with everything; of the dead, one a line\n"
    "  --metrics             counts, as Prometheus reads them\n"
    "  -h, --help\n"
    "\n"
    "Exit: 0, 1 if there is no such job, 125 a wrong word, or the server.\n";

int help_say(const char *subcommand)
{
    static const struct {
        const char *name, *text;
    } texts[] = {
        {"run", of_run},   {"push", of_push}, {"work", of_work},
        {"jobs", of_jobs}, {"help", of_weir}, {"version", of_weir},
    };
    const char *text = subcommand == NULL ? of_weir : NULL;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && text == NULL; i++)
        if (strcmp(texts[i].name, subcommand) == 0)
            text = texts[i].text;
    if (text == NULL)
        return complain("there is no help for '%s'; see weir help", subcommand);
    if (fputs(text, stdout) < 0 || fflush(stdout) != 0)
        return complain("standard output cannot be written");
    return 0;
}
