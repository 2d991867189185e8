/* SPDX-License-Identifier: MIT */
/* api.c - what the calls of libweir-queue answer to wrong arguments, without any server; or with
 * one that accepts and says nothing.
 */
#include "support/suite.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/abort.h"
#include "weir/queue.h"
#include "weir/task.h"

#define SECRET "hunter2"

/* A port at which connections are accepted by the system, and nobody answers. */
struct silence {
    int fd;
    char url[64];
};

static struct silence begin_silence(void)
{
    struct silence silence;
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t size = sizeof at;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    silence.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (silence.fd < 0 || bind(silence.fd, (struct sockaddr *)&at, size) < 0 ||
        listen(silence.fd, 8) < 0 || getsockname(silence.fd, (struct sockaddr *)&at, &size) < 0)
        give_up("no port to listen at");
    (void)snprintf(silence.url, sizeof silence.url, "redis://127.0.0.1:%d/q", ntohs(at.sin_port));
    return silence;
}

static weir_queue *open_queue(const char *url)
{
    weir_queue *queue = NULL;
    ck_assert_int_eq(weir_queue_open(&queue, url, NULL), 0);
    return queue;
}

static const struct {
    const char *url, *text;
} wrong_urls[] = {
    {"", "begins with redis://"},
    {"redsi://localhost/q", "begins with redis://"},
    {"rediss://:" SECRET "@localhost/q", "begins with redis://"},
    {"redis://:" SECRET "@localhost", "names no queue"},
    {"redis://localhost/", "names no queue"},
    {"redis:///q", "names no host"},
    {"redis://:" SECRET "@/q", "names no host"},
    {"redis://" SECRET "@localhost/q", "USER:PASSWORD"},
    {"redis://:" SECRET "/more@localhost/q", "the port in the queue's URL is not one"},
    {"redis://localhost:/q", "the port"},
    {"redis://localhost:0/q", "the port"},
    {"redis://localhost:65536/q", "the port"},
    {"redis://localhost:123456/q", "the port"},
    {"redis://localhost:12a/q", "the port"},
    {"redis://::1/q", "the port"},
    {"redis://localhost/q{x}", "no braces"},
    {"redis://localhost/%7B", "no braces"},
    {"redis://localhost/q%2", "% without two digits"},
    {"redis://localhost/q%00", "% without two digits"},
    {"redis://localhost/q?db", "has no value"},
    {"redis://localhost/q?db=", "is not a number"},
    {"redis://localhost/q?db=-1", "is not a number"},
    {"redis://localhost/q?bd=1", "a parameter that is none: bd"},
    {"redis://localhost/q?queue=x", "a parameter that is none: queue"},
    {"redis://localhost/q?password-file=/nonexistent", "cannot open the password file"},
    {"redis+unix://tmp/sock?queue=q", "redis+unix:///PATH"},
    {"redis+unix:///tmp/sock", "names no queue"},
    {"redis+unix:///tmp/sock?queue=", "names no queue"},
    {"redis+unix:///tmp/sock?queue=a&queue=b", "two queues"},
};

START_TEST(a_wrong_url_is_refused_by_a_sentence_that_shows_no_password)
{
    weir_queue *queue = (weir_queue *)&queue, *before = queue;
    int err = weir_queue_open(&queue, wrong_urls[_i].url, NULL);
    ck_assert_msg(err == -EINVAL || err == -ENOENT, "%s", wrong_urls[_i].url);
    const char *text = weir_queue_error(NULL);
    ck_assert_msg(strstr(text, wrong_urls[_i].text) != NULL, "%s: %s", wrong_urls[_i].url, text);
    ck_assert_ptr_null(strstr(text, SECRET));
    ck_assert_ptr_eq(queue, before);
}
END_TEST

static const char *const right_urls[] = {
    "redis://localhost/q",
    "redis://localhost:1/q?db=15",
    "redis://u:p@localhost/q",
    "redis://:p%2F%40@[::1]:6380/a%20queue",
    "redis://[::1]/q",
    "redis+unix:///tmp/sock?queue=q&db=2",
    "redis+unix://u:p@/tmp/sock?db=2&queue=q",
};

START_TEST(a_right_url_is_taken_and_nothing_is_connected)
{
    weir_queue_close(open_queue(right_urls[_i]));
}
END_TEST

START_TEST(wrong_arguments_of_open_are_refused)
{
    weir_queue *queue = NULL;
    const char *url = "redis://localhost/q";
    ck_assert_int_eq(weir_queue_open(NULL, url, NULL), -EINVAL);
    ck_assert_int_eq(weir_queue_open(&queue, NULL, NULL), -EINVAL);
    ck_assert_int_eq(weir_queue_open(&queue, url, WEIR_QUEUE_OPTIONS(.connect_timeout = -1)),
                     -EINVAL);
    ck_assert_int_eq(weir_queue_open(&queue, url, WEIR_QUEUE_OPTIONS(.reply_timeout = -1)),
                     -EINVAL);
    weir_queue_options options;
    weir_queue_options_init(&options);
    weir_queue_options_init(NULL);
    options.size--;
    ck_assert_int_eq(weir_queue_open(&queue, url, &options), -EINVAL);
    struct {
        weir_queue_options known;
        int more;
    } newer = {.known.size = sizeof newer, .more = 1};
    ck_assert_int_eq(weir_queue_open(&queue, url, &newer.known), -E2BIG);
    ck_assert_ptr_null(queue);
    weir_queue_close(NULL);
}
END_TEST

static int push_one(weir_queue *queue, weir_message message, const weir_push_options *options)
{
    return weir_queue_push(queue, &message, 1, options, NULL, NULL, WEIR_FOREVER);
}

START_TEST(wrong_messages_are_refused_before_anything_is_sent)
{
    weir_queue *queue = open_queue("redis://127.0.0.1:1/q");
    static char long_key[WEIR_QUEUE_KEY_MAX + 2];
    memset(long_key, 'k', sizeof long_key - 1);
    weir_push_counts counts = {7, 7, 7};
    ck_assert_int_eq(weir_queue_push(NULL, NULL, 0, NULL, NULL, NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_queue_push(queue, NULL, 1, NULL, &counts, NULL, 0), -EINVAL);
    ck_assert_uint_eq(counts.added, 7);
    ck_assert_int_eq(weir_queue_push(queue, NULL, 0, NULL, &counts, NULL, 0), 0);
    ck_assert_uint_eq(counts.added + counts.known + counts.left_out, 0);
    ck_assert_int_eq(push_one(queue, (weir_message){.size = 1}, NULL), -EINVAL);
    ck_assert_int_eq(push_one(queue, (weir_message){.key = ""}, NULL), -EINVAL);
    ck_assert_int_eq(push_one(queue, (weir_message){.key = long_key}, NULL), -EINVAL);
    weir_message large = {.body = "", .size = WEIR_QUEUE_BODY_MAX + 1};
    ck_assert_int_eq(push_one(queue, large, NULL), -EMSGSIZE);
    weir_message fine = {.body = "x", .size = 1};
    ck_assert_int_eq(push_one(queue, fine, WEIR_PUSH_OPTIONS(.delay = -1)), -EINVAL);
    ck_assert_int_eq(push_one(queue, fine, WEIR_PUSH_OPTIONS(.at = -1)), -EINVAL);
    ck_assert_int_eq(push_one(queue, fine, WEIR_PUSH_OPTIONS(.delay = 1, .at = 1)), -EINVAL);
    ck_assert_int_eq(push_one(queue, fine, WEIR_PUSH_OPTIONS(.backoff_first = -1)), -EINVAL);
    ck_assert_int_eq(push_one(queue, fine, WEIR_PUSH_OPTIONS(.backoff_max = -1)), -EINVAL);
    weir_queue_close(queue);
}
END_TEST

START_TEST(a_push_ends_with_its_deadline_or_its_context)
{
    struct silence silence = begin_silence();
    weir_queue *queue = open_queue(silence.url);
    weir_message message = {.body = "x", .size = 1};
    weir_push_counts counts;
    ck_assert_int_eq(
        weir_queue_push(queue, &message, 1, NULL, &counts, NULL, weir_after(WEIR_MS(20))),
        -ETIMEDOUT);
    ck_assert_uint_eq(counts.left_out, 1);
    weir_context *ctx;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, weir_after(WEIR_MS(20))), 0);
    ck_assert_int_eq(weir_queue_push(queue, &message, 1, NULL, NULL, ctx, WEIR_FOREVER),
                     -ETIMEDOUT);
    weir_context_unref(ctx);
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    weir_context_cancel(ctx, 0);
    ck_assert_int_eq(weir_queue_push(queue, &message, 1, NULL, NULL, ctx, WEIR_FOREVER),
                     -ECANCELED);
    weir_context_unref(ctx);
    weir_queue_close(queue);
    close(silence.fd);
}
END_TEST

struct pushing {
    weir_queue *queue;
    weir_context *ctx;
    int result;
};

static void *push_for_ever(void *arg)
{
    struct pushing *pushing = arg;
    weir_message message = {.body = "x", .size = 1};
    pushing->result =
        weir_queue_push(pushing->queue, &message, 1, NULL, NULL, pushing->ctx, WEIR_FOREVER);
    return NULL;
}

START_TEST(cancelling_wakes_a_push_that_waits_for_the_server)
{
    struct silence silence = begin_silence();
    struct pushing pushing = {.queue = open_queue(silence.url)};
    pthread_t thread;
    ck_assert_int_eq(weir_context_new(&pushing.ctx, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, push_for_ever, &pushing), 0);
    int connection = accept(silence.fd, NULL, NULL); /* so it has begun */
    weir_context_cancel(pushing.ctx, 0);
    pthread_join(thread, NULL);
    ck_assert_int_eq(pushing.result, -ECANCELED);
    close(connection);
    weir_context_unref(pushing.ctx);
    weir_queue_close(pushing.queue);
    close(silence.fd);
}
END_TEST

static void close_in_use(void *arg)
{
    struct silence silence = begin_silence();
    struct pushing pushing = {.queue = open_queue(silence.url)};
    pthread_t thread;
    (void)arg;
    if (pthread_create(&thread, NULL, push_for_ever, &pushing) != 0 ||
        accept(silence.fd, NULL, NULL) < 0)
        give_up("no push is under way");
    weir_queue_close(pushing.queue);
}

START_TEST(closing_a_queue_that_is_in_use_aborts)
{
    assert_aborts(close_in_use, NULL, "weir_queue_close: a call on the queue is under way");
}
END_TEST

static int handle(weir_context *ctx, const weir_message *message, void *arg)
{
    (void)ctx, (void)message, (void)arg;
    return 0;
}

static int serve_with(weir_queue *queue, weir_pool *pool, const weir_serve_options *options)
{
    return weir_queue_serve(queue, pool, handle, NULL, options, NULL);
}

static int serve_inside(weir_context *ctx, void *arg)
{
    (void)ctx;
    return serve_with(arg, weir_pool_current(), NULL);
}

START_TEST(wrong_arguments_of_serve_are_refused)
{
    static const char *const names[] = {"", "two words", "a\tb"};
    char long_name[202] = {0};
    memset(long_name, 'n', sizeof long_name - 1);
    weir_queue *queue = open_queue("redis://127.0.0.1:1/q");
    weir_pool *pool;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1)), 0);
    ck_assert_int_eq(serve_with(NULL, pool, NULL), -EINVAL);
    ck_assert_int_eq(serve_with(queue, NULL, NULL), -EINVAL);
    ck_assert_int_eq(weir_queue_serve(queue, pool, NULL, NULL, NULL, NULL), -EINVAL);
    ck_assert_int_eq(serve_with(queue, pool, WEIR_SERVE_OPTIONS(.lease = 1)), -EINVAL);
    ck_assert_int_eq(serve_with(queue, pool, WEIR_SERVE_OPTIONS(.lease = WEIR_FOREVER)), -EINVAL);
    ck_assert_int_eq(serve_with(queue, pool, WEIR_SERVE_OPTIONS(.lease = -1)), -EINVAL);
    ck_assert_int_eq(serve_with(queue, pool, WEIR_SERVE_OPTIONS(.slots = 1u << 30)), -EINVAL);
    ck_assert_int_eq(serve_with(queue, pool, WEIR_SERVE_OPTIONS(.batch = 1 << 30)), -EINVAL);
    ck_assert_int_eq(serve_with(queue, pool, WEIR_SERVE_OPTIONS(.backoff_first = -1)), -EINVAL);
    ck_assert_int_eq(serve_with(queue, pool, WEIR_SERVE_OPTIONS(.name = long_name)), -EINVAL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        ck_assert_int_eq(serve_with(queue, pool, WEIR_SERVE_OPTIONS(.name = names[i])), -EINVAL);
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, serve_inside, queue, NULL), 0);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(weir_task_status(&task), -EDEADLK);
    weir_pool_free(pool);
    weir_queue_close(queue);
}
END_TEST

START_TEST(a_serve_whose_context_is_over_returns_at_once)
{
    weir_queue *queue = open_queue("redis://127.0.0.1:1/q");
    weir_pool *pool;
    weir_context *ctx;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1)), 0);
    ck_assert_int_eq(weir_context_new(&ctx, NULL, 0), 0);
    ck_assert_int_eq(weir_queue_serve(queue, pool, handle, NULL, NULL, ctx), 0);
    weir_context_unref(ctx);
    weir_pool_free(pool);
    weir_queue_close(queue);
}
END_TEST

START_TEST(null_is_refused_everywhere)
{
    weir_queue *queue = open_queue("redis://127.0.0.1:1/q");
    weir_queue_stats stats;
    weir_queue_server server;
    ck_assert_int_eq(weir_queue_read_stats(NULL, &stats), -EINVAL);
    ck_assert_int_eq(weir_queue_read_stats(queue, NULL), -EINVAL);
    ck_assert_int_eq(weir_queue_read_server(NULL, &server), -EINVAL);
    ck_assert_int_eq(weir_queue_read_server(queue, NULL), -EINVAL);
    ck_assert_int_eq(weir_queue_list_running(queue, NULL, NULL), -EINVAL);
    ck_assert_int_eq(weir_queue_list_dead(queue, NULL, NULL), -EINVAL);
    ck_assert_int_eq(weir_queue_retry_dead(queue, NULL), -EINVAL);
    ck_assert_int_eq(weir_queue_retry_dead(queue, ""), -EINVAL);
    ck_assert_int_eq(weir_queue_drop_dead(queue, NULL), -EINVAL);
    ck_assert_int_eq(weir_queue_cancel(queue, NULL, NULL), -EINVAL);
    ck_assert_int_eq(weir_queue_cancel(queue, "", "k"), -EINVAL);
    ck_assert_int_eq((int)weir_queue_retry_all_dead(NULL), -EINVAL);
    ck_assert_int_eq((int)weir_queue_drop_all_dead(NULL), -EINVAL);
    ck_assert_int_eq(weir_queue_pause(NULL), -EINVAL);
    ck_assert_int_eq(weir_queue_resume(NULL), -EINVAL);
    ck_assert_int_eq(weir_queue_cancel(NULL, "1", NULL), -EINVAL);
    ck_assert_int_eq(weir_message_set_errors(NULL, "x", 1), -EINVAL);
    weir_message_on_failure(NULL, WEIR_FAILURE_BURY);
    weir_queue_close(queue);
}
END_TEST

START_TEST(the_text_of_an_error_is_that_of_the_queue_which_failed)
{
    weir_queue *one = open_queue("redis://127.0.0.1:1/q"), *other = open_queue("redis://[::1]/q");
    ck_assert_str_eq(weir_queue_error(one), "");
    ck_assert_int_eq(weir_queue_cancel(one, NULL, NULL), -EINVAL);
    ck_assert_str_eq(weir_queue_error(one), weir_strerror(-EINVAL));
    ck_assert_str_eq(weir_queue_error(other), "");
    weir_queue_close(one);
    weir_queue_close(other);
}
END_TEST

START_TEST(in_a_forked_child_a_queue_is_stale_and_can_be_closed)
{
    weir_queue *queue = open_queue("redis://127.0.0.1:1/q");
    weir_message message = {.body = "x", .size = 1};
    weir_queue_stats stats;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        bool stale = push_one(queue, message, NULL) == -ESTALE &&
                     weir_queue_read_stats(queue, &stats) == -ESTALE &&
                     serve_with(queue, NULL, NULL) == -ESTALE;
        weir_queue_close(queue);
        _exit(stale ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    weir_queue_close(queue);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("queue_api");
    TCase *open = add_group(suite, "open");
    tcase_add_loop_test(open, a_wrong_url_is_refused_by_a_sentence_that_shows_no_password, 0,
                        sizeof wrong_urls / sizeof wrong_urls[0]);
    tcase_add_loop_test(open, a_right_url_is_taken_and_nothing_is_connected, 0,
                        sizeof right_urls / sizeof right_urls[0]);
    tcase_add_test(open, wrong_arguments_of_open_are_refused);
    TCase *push = add_group(suite, "push");
    tcase_add_test(push, wrong_messages_are_refused_before_anything_is_sent);
    tcase_add_test(push, a_push_ends_with_its_deadline_or_its_context);
    tcase_add_test(push, cancelling_wakes_a_push_that_waits_for_the_server);
    TCase *serve = add_group(suite, "serve");
    tcase_add_test(serve, wrong_arguments_of_serve_are_refused);
    tcase_add_test(serve, a_serve_whose_context_is_over_returns_at_once);
    TCase *misuse = add_group(suite, "misuse");
    tcase_add_test(misuse, null_is_refused_everywhere);
    tcase_add_test(misuse, the_text_of_an_error_is_that_of_the_queue_which_failed);
    tcase_add_test(misuse, closing_a_queue_that_is_in_use_aborts);
    tcase_add_test(misuse, in_a_forked_child_a_queue_is_stale_and_can_be_closed);
    return suite;
}
