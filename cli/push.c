/* SPDX-License-Identifier: MIT */
/* push.c - `weir push`: a job for each record.
 *
 * A job's body is the record, byte for byte, so that any program can take it. Columns of several
 * sources are joined by the separator of --colsep; with --header the header comes before, as in a
 * file of that one record: so `weir work` reads each body with the options of `weir run`.
 * Records go in by batches. A batch is sent when it is full, and before weir would have to wait for
 * more input: whoever writes a record now and then sees it become a job at once.
 */
#include "complain.h"
#include "help.h"
#include "input.h"
#include "members.h"
#include "queue_mains.h"
#include "queue_words.h"
#include "render.h"
#include "weir/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BATCH_JOBS 1024
#define BATCH_SIZE ((size_t)1024 * 1024)

struct entry {
    size_t body, size, key; /* key: where in `text`; SIZE_MAX: none */
};

struct push {
    const struct settings *settings;
    weir_queue *queue;
    weir_push_options options;
    weir_context *ctx; /* over at a signal */
    struct input *input;
    struct template key; /* of no words: none */
    struct argv argv;
    struct buffer header; /* what each body begins with */

    struct buffer text; /* of the batch: bodies, and keys with a NUL behind */
    struct entry entries[BATCH_JOBS];
    weir_message messages[BATCH_JOBS];
    size_t n;

    uint64_t seq, added, known, left_out;
};

static int no_memory(void)
{
    complain("no memory is left");
    return -ENOMEM;
}

/* Sends the batch. Returns 0, or a negative errno after it has complained. */
static int send_batch(struct push *push)
{
    weir_push_counts counts = {0};
    if (push->n == 0)
        return 0;
    if (push->text.failed)
        return no_memory();
    for (size_t i = 0; i < push->n; i++) {
        const struct entry *entry = &push->entries[i];
        push->messages[i] = (weir_message){
            .body = entry->size == 0 ? NULL : push->text.data + entry->body,
            .size = entry->size,
            .key = entry->key == SIZE_MAX ? NULL : push->text.data + entry->key,
        };
    }
    int err = weir_queue_push(push->queue, push->messages, push->n, &push->options, &counts,
                              push->ctx, WEIR_FOREVER);
    push->added += counts.added;
    push->known += counts.known;
    push->left_out += counts.left_out;
    push->n = 0;
    buffer_clear(&push->text);
    if (err != 0 && err != -ECANCELED)
        queue_complain(push->queue, err);
    return err;
}

static void append_columns(struct buffer *buffer, const struct settings *settings,
                           const struct bytes columns[], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buffer_append_text(buffer, settings->colsep);
        buffer_append(buffer, columns[i].data, columns[i].size);
    }
}

static bool leave_out(struct push *push, const char *why)
{
    complain("record %llu: %s", (unsigned long long)push->seq, why);
    push->left_out++;
    return false;
}

/* Makes the record's key, and sees whether it is an object. Returns whether it can be a job. */
static bool make_key(struct push *push, const struct bytes columns[], size_t n)
{
    push->argv.n = 0;
    if (push->key.n == 0 && push->settings->json) {
        void *object = members_read(columns[0], push->argv.why, sizeof(push->argv.why));
        members_free(object);
        return object != NULL || leave_out(push, push->argv.why);
    }
    if (push->key.n == 0)
        return true;
    struct job *job = job_new(columns, n, &n, 1);
    if (job == NULL)
        return leave_out(push, "no memory is left");
    job->seq = push->seq;
    int err = render_command(&push->argv, &push->key, job, 1, false);
    job_free(job);
    if (err != 0)
        return leave_out(push, push->argv.why);
    size_t size = strlen(push->argv.words[0]);
    if (size == 0)
        return leave_out(push, "its key is empty");
    return size <= WEIR_QUEUE_KEY_MAX || leave_out(push, "its key is longer than 1024 bytes");
}

/* Adds the record to the batch. Returns 0, or a negative errno after it has complained. */
static int add(struct push *push, const struct bytes columns[], size_t n)
{
    push->seq++;
    if (!make_key(push, columns, n))
        return 0;
    struct entry *entry = &push->entries[push->n];
    entry->body = push->text.size;
    buffer_append(&push->text, push->header.data, push->header.size);
    append_columns(&push->text, push->settings, columns, n);
    entry->size = push->text.size - entry->body;
    entry->key = SIZE_MAX;
    if (entry->size > WEIR_QUEUE_BODY_MAX) {
        push->text.size = entry->body;
        leave_out(push, "it has more than 256 MB, which is what a job may have");
        return 0;
    }
    if (push->key.n > 0) {
        entry->key = push->text.size;
        buffer_append(&push->text, push->argv.words[0], strlen(push->argv.words[0]) + 1);
    }
    push->n++;
    if (push->text.failed)
        return no_memory();
    return push->n == BATCH_JOBS || push->text.size >= BATCH_SIZE ? send_batch(push) : 0;
}

/* Several columns without a separator are those of several sources. */
static int check_columns(struct push *push, size_t n)
{
    if (n <= 1 || push->settings->colsep != NULL)
        return 0;
    complain("several sources need --colsep STR, which is put between their values in a job");
    push->left_out++;
    return -EINVAL;
}

static int push_all(struct push *push)
{
    const struct bytes *columns;
    size_t n;
    int err = 0;
    int got = 1;
    while (err == 0) {
        if (!input_is_at_hand(push->input))
            err = send_batch(push);
        got = err == 0 ? input_next(push->input, &columns, &n) : 0;
        if (got != 1)
            break;
        err = check_columns(push, n);
        err = err != 0 ? err : add(push, columns, n);
    }
    int sent = err == 0 ? send_batch(push) : 0;
    return err != 0 ? err : got < 0 ? got : sent;
}

static void signalled(void *arg)
{
    uint64_t one = 1;
    if (write(*(const int *)arg, &one, sizeof(one)) < 0)
        return; /* cannot be: the count is one */
}

/* What is left of the input is left out. */
static int sum_up(struct push *push, int err)
{
    bool all = true;
    if (err != 0 && push->input != NULL)
        push->left_out += (uint64_t)input_count_rest(push->input, &all);
    push->left_out += push->n;
    if (!push->settings->quiet &&
        (printf("%llu added, %llu known, %s%llu left out\n", (unsigned long long)push->added,
                (unsigned long long)push->known, all ? "" : "at least ",
                (unsigned long long)push->left_out) < 0 ||
         fflush(stdout) != 0))
        return complain("standard output cannot be written");
    if (err == -ECANCELED && weir_context_err(push->ctx) != 0)
        return 128 + weir_context_cause(push->ctx);
    if (err != 0)
        return EXIT_WEIR;
    return push->left_out > 100 ? 101 : (int)push->left_out;
}

static int prepare(struct push *push, const struct queue_words *line, int stop_fd)
{
    const struct settings *settings = push->settings;
    if (settings->json && !members_are_supported())
        return complain("--json: this build has no JSON (it was built without jansson)");
    if (line->n_rest > 0 && !input_is_separator(line->rest[0]))
        return complain("'%s' stands where ::: VALUE or :::: FILE may be", line->rest[0]);
    if (settings->n_files > 0 && line->n_rest > 0)
        return complain("-a and %s do not go together: say :::: FILE for each", line->rest[0]);
    if (input_open(&push->input, settings, line->rest, line->n_rest, stop_fd) != 0)
        return EXIT_WEIR;
    const struct names *names = input_names(push->input);
    if (settings->key != NULL &&
        template_read_text(&push->key, settings, names, settings->key) != 0)
        return EXIT_WEIR;
    for (size_t i = 0; i < names->n; i++) {
        if (i > 0)
            buffer_append_text(&push->header, settings->colsep != NULL ? settings->colsep : " ");
        buffer_append_text(&push->header, names->names[i]);
    }
    if (settings->header)
        buffer_append(&push->header, &settings->delimiter, 1);
    return push->header.failed ? no_memory() : 0;
}

static void set_options(weir_push_options *options, const struct settings *settings)
{
    weir_push_options_init(options);
    options->delay = settings->delay;
    options->at = settings->at > INT64_MAX / 1000000 ? INT64_MAX : settings->at * 1000000;
    options->remember = settings->remember < 0    ? 0
                        : settings->remember == 0 ? -1
                                                  : settings->remember;
    options->retries = (unsigned)settings->retries;
    options->backoff_first = settings->backoff_first;
    options->backoff_max = settings->backoff_max;
}

static int push_line(struct push *push, const struct queue_words *line)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    weir_context_hook hook = WEIR_CONTEXT_HOOK_INIT;
    set_options(&push->options, push->settings);
    int stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int err = stop_fd < 0 ? -errno : weir_context_from_signals(&push->ctx, NULL, signals, 3);
    if (err == 0)
        err = weir_context_on_done(push->ctx, &hook, signalled, &stop_fd);
    int status = EXIT_WEIR;
    if (err != 0)
        complain("the push cannot begin: %s", strerror(-err));
    else if (queue_words_open(&push->queue, line, push->settings) == 0 &&
             prepare(push, line, stop_fd) == 0)
        status = sum_up(push, push_all(push));
    (void)weir_context_hook_stop(&hook);
    weir_context_cancel(push->ctx, 0);
    weir_context_unref(push->ctx);
    weir_queue_close(push->queue);
    if (stop_fd >= 0)
        close(stop_fd);
    return status;
}

int push_main(int n_words, char *const words[])
{
    struct settings settings;
    struct queue_words line;
    settings_init(&settings, SUBCOMMAND_PUSH);
    int status = queue_words_read(&line, &settings, n_words, words);
    if (status == 0 && settings.help) {
        status = help_say("push");
    } else if (status == 0) {
        struct push *push = calloc(1, sizeof(*push));
        status = EXIT_WEIR;
        if (push == NULL) {
            no_memory();
        } else {
            push->settings = &settings;
            status = push_line(push, &line);
            input_free(push->input);
            template_free(&push->key);
            argv_free(&push->argv);
            buffer_free(&push->header);
            buffer_free(&push->text);
            free(push);
        }
    }
    queue_words_free(&line);
    settings_destroy(&settings);
    return status;
}
