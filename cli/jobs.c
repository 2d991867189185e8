/* SPDX-License-Identifier: MIT */
/* jobs.c - `weir jobs`: what is in a queue, and what people do to it. */
#include "complain.h"
#include "help.h"
#include "jobs_view.h"
#include "queue_mains.h"
#include "queue_words.h"
#include "spelling.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* No such job: weir did what it was told, and there was nothing to do. */
#define EXIT_NO_JOB 1

#define MOST_WORDS 4 /* behind the URL: one more than may be there */

struct jobs {
    const struct settings *settings;
    weir_queue *queue;
    struct buffer text;
    bool any; /* a line of the list has been made */
};

static int print(struct jobs *jobs)
{
    int err =
        jobs->text.failed ? -ENOMEM : write_all(STDOUT_FILENO, jobs->text.data, jobs->text.size);
    buffer_clear(&jobs->text);
    return err == 0 ? 0 : complain("standard output: %s", strerror(-err));
}

/* Says what has been done. */
static int say(struct jobs *jobs, const char *text)
{
    buffer_printf(&jobs->text, "%s\n", text);
    return print(jobs);
}

static int no_job(const char *what, const char *name)
{
    complain("there is no %s '%s'", what, name);
    return EXIT_NO_JOB;
}

static int add_running(const weir_queue_running *job, void *arg)
{
    struct jobs *jobs = arg;
    if (jobs->settings->json)
        jobs_view_running_json(&jobs->text, job, !jobs->any);
    else
        jobs_view_running_text(&jobs->text, job, !jobs->any);
    jobs->any = true;
    return 0;
}

static int show(struct jobs *jobs)
{
    weir_queue_stats stats;
    const struct settings *settings = jobs->settings;
    int err = weir_queue_read_stats(jobs->queue, &stats);
    if (err != 0)
        return queue_complain(jobs->queue, err);
    if (settings->as_metrics) {
        jobs_view_metrics(&jobs->text, &stats);
        return print(jobs);
    }
    if (settings->json)
        jobs_view_json(&jobs->text, &stats);
    else
        jobs_view_text(&jobs->text, &stats);
    if (settings->json)
        buffer_append_text(&jobs->text, ",\"jobs\":[");
    jobs->any = false;
    err = weir_queue_list_running(jobs->queue, add_running, jobs);
    if (settings->json)
        buffer_append_text(&jobs->text, "]}\n");
    return err != 0 ? queue_complain(jobs->queue, err) : print(jobs);
}

/* A second passes between two looks. Ends by a signal, or when the server is gone. */
static int watch(struct jobs *jobs)
{
    bool terminal = isatty(STDOUT_FILENO) && !jobs->settings->json;
    int status = 0;
    while (status == 0) {
        if (terminal)
            buffer_append_text(&jobs->text, "\033[H\033[J");
        status = show(jobs);
        if (!terminal && !jobs->settings->json && status == 0)
            status = write_all(STDOUT_FILENO, "\n", 1) == 0 ? 0 : EXIT_WEIR;
        if (status == 0)
            sleep(1);
    }
    return status;
}

/* Before anything is shown: may the server lose jobs? */
static int check_server(struct jobs *jobs)
{
    weir_queue_server server;
    int err = weir_queue_read_server(jobs->queue, &server);
    if (err != 0)
        return queue_complain(jobs->queue, err);
    if (server.evicts == 1)
        complain("warning: the server may evict jobs when its memory is full: its "
                 "maxmemory-policy is %s, not noeviction",
                 server.policy);
    if (server.append_only == 0)
        complain("warning: the server forgets jobs when it is killed: it keeps no append-only file "
                 "(appendonly yes)");
    return 0;
}

static int show_or_watch(struct jobs *jobs)
{
    int status = check_server(jobs);
    if (status != 0)
        return status;
    return jobs->settings->watch ? watch(jobs) : show(jobs);
}

static int add_dead(const weir_queue_dead *job, void *arg)
{
    struct jobs *jobs = arg;
    if (jobs->settings->json)
        jobs_view_dead_json(&jobs->text, job);
    else
        jobs_view_dead_text(&jobs->text, job, !jobs->any);
    jobs->any = true;
    return print(jobs);
}

static int list_dead(struct jobs *jobs)
{
    int err = weir_queue_list_dead(jobs->queue, add_dead, jobs);
    return err < 0 ? queue_complain(jobs->queue, err) : err;
}

/* dead [retry|drop [ID]] */
static int dead(struct jobs *jobs, int n_words, char *const words[])
{
    if (n_words == 0)
        return list_dead(jobs);
    bool retry = strcmp(words[0], "retry") == 0;
    const char *id = n_words == 2 ? words[1] : NULL;
    int64_t n = 1;
    if (id == NULL)
        n = retry ? weir_queue_retry_all_dead(jobs->queue) : weir_queue_drop_all_dead(jobs->queue);
    int err = id == NULL ? (int)(n < 0 ? n : 0)
              : retry    ? weir_queue_retry_dead(jobs->queue, id)
                         : weir_queue_drop_dead(jobs->queue, id);
    if (err == -ENOENT && id != NULL)
        return no_job("dead job", id);
    if (err == -EEXIST && id != NULL) {
        complain("the job '%s' stays dead: one with its key was added meanwhile", id);
        return EXIT_NO_JOB;
    }
    if (err != 0)
        return queue_complain(jobs->queue, err);
    buffer_printf(&jobs->text, "%lld job%s ", (long long)n, n == 1 ? "" : "s");
    return say(jobs, retry ? "queued again" : "dropped");
}

static int pause_or_resume(struct jobs *jobs, bool pauses)
{
    int err = pauses ? weir_queue_pause(jobs->queue) : weir_queue_resume(jobs->queue);
    if (err != 0)
        return queue_complain(jobs->queue, err);
    return say(jobs, pauses ? "paused" : "resumed");
}

/* An ID, or else a key. */
static int cancel(struct jobs *jobs, const char *name)
{
    int err = weir_queue_cancel(jobs->queue, name, NULL);
    if (err == -ENOENT || err == -EINVAL)
        err = weir_queue_cancel(jobs->queue, NULL, name);
    if (err == -ENOENT)
        return no_job("job", name);
    if (err == -EINPROGRESS)
        return say(jobs, "cancelled; it runs until its worker renews the lease");
    return err != 0 ? queue_complain(jobs->queue, err) : say(jobs, "cancelled");
}

static const struct {
    const char *name;
    int least, most; /* words behind it */
} actions[] = {
    {"", 0, 0}, {"dead", 0, 2}, {"pause", 0, 0}, {"resume", 0, 0}, {"cancel", 1, 1},
};

/* Says what is wrong with the words behind the URL. Returns 0 if nothing is. */
static int check_words(const struct settings *settings, int n_words, char *const words[])
{
    struct spelling spelling;
    const char *name = n_words == 0 ? "" : words[0];
    size_t i = 0;
    spelling_begin(&spelling, name, strlen(name));
    for (; i < sizeof(actions) / sizeof(actions[0]); i++) {
        if (strcmp(actions[i].name, name) == 0)
            break;
        spelling_try(&spelling, actions[i].name);
    }
    if (i == sizeof(actions) / sizeof(actions[0]) && spelling.nearest != NULL &&
        *spelling.nearest != '\0')
        return complain("there is no '%s'; did you mean %s?", name, spelling.nearest);
    if (i == sizeof(actions) / sizeof(actions[0]))
        return complain("there is no '%s'; see weir jobs --help", name);
    int n = n_words == 0 ? 0 : n_words - 1;
    if (n < actions[i].least)
        return complain("%s needs the ID or the key of a job", name);
    if (n > actions[i].most)
        return complain("'%s' is one word too many behind %s", words[actions[i].most + 1], name);
    if (i == 1 && n > 0 && strcmp(words[1], "retry") != 0 && strcmp(words[1], "drop") != 0)
        return complain("'dead %s' is none of dead, dead retry, dead drop", words[1]);
    if (i != 0 && (settings->watch || settings->as_metrics))
        return complain("--%s goes with no word behind the URL, but there is '%s'",
                        settings->watch ? "watch" : "metrics", name);
    if (settings->json && i != 0 && (i != 1 || n > 0))
        return complain("--json has nothing to print for '%s'", name);
    return 0;
}

static int act(struct jobs *jobs, int n_words, char *const words[])
{
    if (n_words == 0)
        return show_or_watch(jobs);
    if (strcmp(words[0], "dead") == 0)
        return dead(jobs, n_words - 1, words + 1);
    if (strcmp(words[0], "cancel") == 0)
        return cancel(jobs, words[1]);
    return pause_or_resume(jobs, strcmp(words[0], "pause") == 0);
}

/* Takes the options out of the words behind the URL; `ret` has room for MOST_WORDS others. Returns
 * how many those are; -1 after it has complained. */
static int sort_words(struct settings *settings, const struct queue_words *line, char *ret[])
{
    int n = 0;
    for (int i = 0; i < line->n_rest;) {
        const char *word = line->rest[i];
        int taken = 0;
        if (word[0] == '-' && word[1] != '\0')
            taken = settings_read(settings, line->n_rest - i, line->rest + i);
        if (taken < 0)
            return -1;
        i += taken;
        if (i == line->n_rest)
            break;
        if (n == MOST_WORDS) {
            complain("'%s' is one word too many", line->rest[i]);
            return -1;
        }
        ret[n++] = line->rest[i++];
    }
    return settings_check(settings) == 0 ? n : -1;
}

int jobs_main(int n_words, char *const words[])
{
    struct settings settings;
    struct queue_words line;
    struct jobs jobs = {.settings = &settings};
    char *sorted[MOST_WORDS];
    settings_init(&settings, SUBCOMMAND_JOBS);
    int status = queue_words_read(&line, &settings, n_words, words);
    int n = status == 0 ? sort_words(&settings, &line, sorted) : 0;
    if (status == 0 && n < 0)
        status = EXIT_WEIR;
    if (status == 0 && settings.help) {
        status = help_say("jobs");
    } else if (status == 0) {
        status = check_words(&settings, n, sorted);
        status = status != 0 ? status : queue_words_open(&jobs.queue, &line, &settings);
        status = status != 0 ? status : act(&jobs, n, sorted);
        weir_queue_close(jobs.queue);
    }
    buffer_free(&jobs.text);
    queue_words_free(&line);
    settings_destroy(&settings);
    return status;
}
