/* SPDX-License-Identifier: MIT */
/* player.c - what the tests of the queue run in processes of their own: they push, serve, look.
 *
 * Usage: player push URL COUNT [NAME=VALUE...]     bodies are the numbers from `first` on
 *        player serve URL [NAME=VALUE...]          until TERM; drain=1: until nothing is left
 *        player stats|server|running|dead|pause|resume|retry|drop URL
 *        player retry|drop|cancel|cancel-key URL NAME
 *
 * A handler writes a line "start BODY ID ATTEMPT PID" and one "end BODY ID CAUSE" to `log`, each by
 * one write. What a handler does is in the body: N[:ms=MS][:fail=N][:kill][:status=N]... Exit: 0;
 * 1 with "error CODE TEXT" on standard output; 2 for wrong use.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weir/queue.h"
#include "weir/shutdown.h"

static char **settings;
static int log_fd = -1;
static weir_context *serving;

static const char *setting(const char *name, const char *otherwise)
{
    size_t length = strlen(name);
    for (char **at = settings; *at != NULL; at++)
        if (strncmp(*at, name, length) == 0 && (*at)[length] == '=')
            return *at + length + 1;
    return otherwise;
}

static long number(const char *name, long otherwise)
{
    const char *text = setting(name, NULL);
    return text != NULL ? strtol(text, NULL, 10) : otherwise;
}

static int64_t ms(const char *name)
{
    return WEIR_MS(number(name, 0));
}

static int finish(weir_queue *queue, int64_t err)
{
    if (err < 0) {
        const char *name = strerrorname_np((int)-err);
        printf("error %s %s\n", name != NULL ? name : "?", weir_queue_error(queue));
    }
    if (err >= 0 && *weir_queue_error(queue) != '\0')
        printf("no error, but %s\n", weir_queue_error(queue));
    weir_queue_close(queue);
    return err < 0;
}

static void record(const char *word, const char *body, const char *id, int n)
{
    char line[512];
    int size = snprintf(line, sizeof line, "%s %s %s %d %d\n", word, body, id, n, (int)getpid());
    if (log_fd >= 0 && write(log_fd, line, (size_t)size) != size)
        abort();
}

/* The value behind ":NAME=" in a body, or -1. */
static long told(const char *body, const char *name)
{
    const char *at = strstr(body, name);
    return at != NULL ? strtol(at + strlen(name), NULL, 10) : -1;
}

static int play(weir_context *ctx, const weir_message *message, void *arg)
{
    (void)arg;
    char body[256];
    size_t size = message->size < sizeof body ? message->size : sizeof body - 1;
    memcpy(body, message->body, size);
    body[size] = '\0';
    record("start", body, message->id, (int)message->attempt);
    if (strstr(body, ":kill") != NULL)
        raise(SIGKILL);
    if (told(body, ":ms=") > 0 &&
        weir_sleep_until(ctx, weir_after(WEIR_MS(told(body, ":ms=")))) < 0 &&
        told(body, ":stubborn=") > 0 &&
        weir_sleep_until(NULL, weir_after(WEIR_MS(told(body, ":stubborn=")))) < 0)
        abort();
    int status = told(body, ":fail=") >= (long)message->attempt ? 7 : 0;
    if (strstr(body, ":bury") != NULL) {
        weir_message_on_failure(message, WEIR_FAILURE_BURY);
        status = 9;
    }
    if (strstr(body, ":back") != NULL && weir_context_err(serving) == 0) {
        weir_message_on_failure(message, WEIR_FAILURE_GIVE_BACK);
        status = 11;
    }
    if (status != 0)
        (void)weir_message_set_errors(message, "it went wrong", 13);
    int cause = weir_context_cause(ctx);
    record("end", body, message->id, cause);
    return status != 0 ? status : cause;
}

static void told_pushed(const weir_message *message, weir_pushed what, const char *id, void *user)
{
    static const char *const words[] = {"new", "known", "left"};
    (void)user;
    printf("%s %.*s %s\n", words[what], (int)message->size, (const char *)message->body,
           id != NULL ? id : "-");
}

/* `body` is a pattern with a # for the number; `size` makes bodies of so many bytes. */
static int push(weir_queue *queue, long count)
{
    const char *pattern = setting("body", "#"), *hash = strchr(pattern, '#');
    const char *key = setting("key", NULL);
    long first = number("first", 0), size = number("size", 0);
    weir_message *messages = calloc((size_t)count + 1, sizeof *messages);
    for (long i = 0; i < count; i++) {
        char *body = NULL;
        int length = hash != NULL ? asprintf(&body, "%.*s%ld%s", (int)(hash - pattern), pattern,
                                             first + i, hash + 1)
                                  : asprintf(&body, "%s", pattern);
        messages[i] = (weir_message){.body = body, .size = (size_t)length, .key = key};
        if (size > 0) {
            messages[i].body = body = realloc(body, (size_t)size);
            memset(body + length, 0, (size_t)(size > length ? size - length : 0));
            messages[i].size = (size_t)size;
        }
        if (key != NULL && strcmp(key, "#") == 0)
            messages[i].key = body;
    }
    weir_push_counts counts;
    int err = weir_queue_push(
        queue, messages, (size_t)count,
        WEIR_PUSH_OPTIONS(.delay = ms("delay"), .at = ms("at"), .remember = ms("remember"),
                          .retries = (unsigned)number("retries", 0),
                          .backoff_first = ms("first_ms"), .backoff_max = ms("most_ms"),
                          .on_pushed = number("tell", 0) ? told_pushed : NULL),
        &counts, NULL, number("within", 0) > 0 ? weir_after(ms("within")) : WEIR_FOREVER);
    printf("added %" PRIu64 " known %" PRIu64 " left %" PRIu64 "\n", counts.added, counts.known,
           counts.left_out);
    for (long i = 0; i < count; i++)
        free((void *)messages[i].body);
    free(messages);
    return finish(queue, err);
}

static void told_event(weir_serve_event event, const char *text, const char *id, void *user)
{
    static const char *const words[] = {"connected", "disconnected", "warning", "lost"};
    (void)user;
    printf("%s %s %s\n", words[event], id != NULL ? id : "-", text);
    fflush(stdout);
}

static void *await_term(void *arg)
{
    sigset_t *signals = arg;
    int signal;
    sigwait(signals, &signal);
    weir_context_cancel(serving, 0);
    return NULL;
}

static int serve(weir_queue *queue)
{
    sigset_t signals;
    pthread_t waiter;
    weir_pool *pool;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    int err = weir_context_new(&serving, NULL, WEIR_FOREVER);
    if (err == 0)
        err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = (unsigned)number("workers", 2)));
    if (err < 0)
        return finish(queue, err);
    pthread_create(&waiter, NULL, await_term, &signals);
    log_fd = open(setting("log", "/dev/null"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (number("closed", 0) != 0)
        weir_pool_close(pool);
    err = weir_queue_serve(
        queue, pool, play, NULL,
        WEIR_SERVE_OPTIONS(.name = setting("name", NULL), .lease = ms("lease"),
                           .renew = ms("renew"), .slots = (unsigned)number("slots", 0),
                           .batch = (int)number("batch", 0),
                           .retries = (unsigned)number("retries", 0),
                           .drain = number("drain", 0) != 0, .on_event = told_event),
        serving);
    pthread_kill(waiter, SIGTERM);
    pthread_join(waiter, NULL);
    weir_pool_free(pool);
    weir_context_unref(serving);
    return finish(queue, err);
}

static int stats(weir_queue *queue)
{
    weir_queue_stats s;
    int err = weir_queue_read_stats(queue, &s);
    if (err == 0)
        printf("{\"queued\":%" PRIu64 ",\"delayed\":%" PRIu64 ",\"running\":%" PRIu64
               ",\"dead\":%" PRIu64 ",\"workers\":%" PRIu64 ",\"oldest\":%" PRId64
               ",\"paused\":%d,\"added\":%" PRIu64 ",\"known\":%" PRIu64 ",\"done\":%" PRIu64
               ",\"failed\":%" PRIu64 ",\"taken_over\":%" PRIu64 ",\"buried\":%" PRIu64
               ",\"fell_off\":%" PRIu64 ",\"cancelled\":%" PRIu64 ",\"vanished\":%" PRIu64 "}\n",
               s.queued, s.delayed, s.running, s.dead, s.workers, s.oldest, s.paused, s.added,
               s.known, s.done, s.failed, s.taken_over, s.buried, s.fell_off, s.cancelled,
               s.vanished);
    return finish(queue, err);
}

static int server(weir_queue *queue)
{
    weir_queue_server s;
    int err = weir_queue_read_server(queue, &s);
    if (err == 0)
        printf("{\"version\":\"%s\",\"policy\":\"%s\",\"evicts\":%d,\"append_only\":%d,"
               "\"memory\":%" PRId64 ",\"memory_limit\":%" PRId64 "}\n",
               s.version, s.policy, s.evicts, s.append_only, s.memory, s.memory_limit);
    return finish(queue, err);
}

static int print_running(const weir_queue_running *job, void *arg)
{
    (void)arg;
    printf("%s %s %s %u %d %d %" PRId64 " %" PRId64 "\n", job->id,
           job->key != NULL ? job->key : "-", job->worker, job->attempt, job->started,
           job->cancelled, job->age, job->lease_left);
    return 0;
}

static int print_dead(const weir_queue_dead *job, void *arg)
{
    static const char *const words[] = {"failed", "worker", "poison"};
    (void)arg;
    printf("%s %s %.*s %zu %u %d %s %s\n", job->id, job->key != NULL ? job->key : "-",
           (int)job->body_size, (const char *)job->body, job->size, job->attempts, job->status,
           words[job->why], job->errors);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    const char *what = argv[1], *name = argc > 3 ? argv[3] : NULL;
    settings = argv + 3;
    weir_queue *queue;
    int err = weir_queue_open(&queue, argv[2],
                              WEIR_QUEUE_OPTIONS(.password = setting("password", NULL),
                                                 .patience = ms("patience"),
                                                 .reply_timeout = ms("reply_timeout"),
                                                 .limit = (uint64_t)number("limit", 0)));
    if (err < 0)
        return finish(NULL, err);
    if (strcmp(what, "push") == 0 && name != NULL)
        return push(queue, strtol(name, NULL, 10));
    if (strcmp(what, "serve") == 0)
        return serve(queue);
    if (strcmp(what, "stats") == 0)
        return stats(queue);
    if (strcmp(what, "server") == 0)
        return server(queue);
    if (strcmp(what, "running") == 0)
        return finish(queue, weir_queue_list_running(queue, print_running, NULL));
    if (strcmp(what, "dead") == 0)
        return finish(queue, weir_queue_list_dead(queue, print_dead, NULL));
    if (strcmp(what, "pause") == 0)
        return finish(queue, weir_queue_pause(queue));
    if (strcmp(what, "resume") == 0)
        return finish(queue, weir_queue_resume(queue));
    if (strcmp(what, "cancel") == 0)
        return finish(queue, weir_queue_cancel(queue, name, NULL));
    if (strcmp(what, "cancel-key") == 0)
        return finish(queue, weir_queue_cancel(queue, NULL, name));
    if (strcmp(what, "retry") == 0)
        return finish(queue, name != NULL ? weir_queue_retry_dead(queue, name)
                                          : weir_queue_retry_all_dead(queue));
    if (strcmp(what, "drop") == 0)
        return finish(queue, name != NULL ? weir_queue_drop_dead(queue, name)
                                          : weir_queue_drop_all_dead(queue));
    return 2;
}
