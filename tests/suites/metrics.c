/* SPDX-License-Identifier: MIT */
/* metrics.c - the text for Prometheus: what is in it, and what comes and goes while it is written.
 */
#include "support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/abort.h"
#include "support/gate.h"
#include "support/pools.h"
#include "support/threads.h"
#include "weir.h"

static weir_metrics *new_metrics(void)
{
    weir_metrics *metrics = NULL;
    ck_assert_int_eq(weir_metrics_new(&metrics), 0);
    return metrics;
}

/* A text that grows. */
struct page {
    char text[1 << 16];
    size_t length;
};

static int append(const char *text, size_t n, void *arg)
{
    struct page *page = arg;
    if (n == 0 || n >= sizeof page->text - page->length)
        return -E2BIG;
    memcpy(page->text + page->length, text, n);
    page->length += n;
    page->text[page->length] = '\0';
    return 0;
}

/* The whole text; static, so until the next call. */
static const char *text_of(weir_metrics *metrics)
{
    static struct page page;
    page.length = 0;
    page.text[0] = '\0';
    ck_assert_int_eq(weir_metrics_write(metrics, append, &page), 0);
    return page.text;
}

/* How many lines begin with `begin`. */
static unsigned lines(const char *text, const char *begin)
{
    unsigned n = 0;
    for (; *text != '\0'; text = strchr(text, '\n') + 1)
        n += strncmp(text, begin, strlen(begin)) == 0;
    return n;
}

static bool has_line(const char *text, const char *line)
{
    size_t n = strlen(line);
    for (; *text != '\0'; text = strchr(text, '\n') + 1)
        if (strncmp(text, line, n) == 0 && text[n] == '\n')
            return true;
    return false;
}

#define assert_line(text, line) ck_assert_msg(has_line(text, line), "no line %s in\n%s", line, text)

static double value(void *arg)
{
    return *(double *)arg;
}

static double two(void *arg)
{
    (void)arg;
    return 2;
}

/* The text. */

static int end_badly(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return -EIO;
}

START_TEST(a_pool_tells_its_counts)
{
    gate hold = GATE_INIT;
    weir_pool *pool;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2,
                                                            .overflow = WEIR_OVERFLOW_REJECT)),
                     0);
    ck_assert_int_eq(weir_pool_submit(pool, end_badly, NULL), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit(pool, gate_task, &hold), 0);
    ck_assert_int_eq(weir_pool_submit(pool, gate_task, &hold), 0);
    ck_assert_int_eq(weir_pool_submit(pool, gate_task, &hold), -EAGAIN);
    weir_pool_close(pool);
    ck_assert_int_eq(weir_pool_submit(pool, gate_task, &hold), -EPIPE);
    ck_assert_int_eq(weir_pool_submit(pool, gate_task, &hold), -EPIPE);
    weir_metrics *metrics = new_metrics();
    ck_assert_int_eq(weir_metrics_add_pool(metrics, "jobs", pool), 0);
    const char *text = text_of(metrics);
    assert_line(text, "# TYPE weir_pool_tasks_total counter");
    assert_line(text, "weir_pool_submitted_total{pool=\"jobs\"} 4");
    assert_line(text, "weir_pool_tasks_total{pool=\"jobs\",end=\"failed\"} 1");
    assert_line(text, "weir_pool_tasks_total{pool=\"jobs\",end=\"done\"} 0");
    assert_line(text, "weir_pool_tasks_total{pool=\"jobs\",end=\"dropped\"} 0");
    assert_line(text, "weir_pool_queued{pool=\"jobs\"} 2");
    assert_line(text, "weir_pool_capacity{pool=\"jobs\"} 2");
    assert_line(text, "weir_pool_running{pool=\"jobs\"} 1");
    assert_line(text, "weir_pool_rejected_total{pool=\"jobs\",reason=\"full\"} 1");
    assert_line(text, "weir_pool_rejected_total{pool=\"jobs\",reason=\"closed\"} 2");
    assert_line(text, "weir_pool_rejected_total{pool=\"jobs\",reason=\"nested\"} 0");
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    assert_line(text_of(metrics), "weir_pool_tasks_total{pool=\"jobs\",end=\"done\"} 3");
    ck_assert_int_eq(weir_metrics_remove(metrics, pool), 0);
    ck_assert_str_eq(text_of(metrics), "");
    weir_metrics_free(metrics);
    weir_pool_free(pool);
}
END_TEST

START_TEST(a_pool_tells_of_its_lanes)
{
    gate hold = GATE_INIT;
    weir_pool *pool;
    ck_assert_int_eq(
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .lanes = 2, .lane_capacity = {3, 5})),
        0);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_lane(pool, 0, end_badly, NULL), 0);
    weir_metrics *metrics = new_metrics();
    ck_assert_int_eq(weir_metrics_add_pool(metrics, "jobs", pool), 0);
    const char *text = text_of(metrics);
    assert_line(text, "weir_pool_capacity{pool=\"jobs\"} 8");
    assert_line(text, "weir_pool_lane_capacity{pool=\"jobs\",lane=\"0\"} 3");
    assert_line(text, "weir_pool_lane_capacity{pool=\"jobs\",lane=\"1\"} 5");
    assert_line(text, "weir_pool_lane_queued{pool=\"jobs\",lane=\"0\"} 1");
    assert_line(text, "weir_pool_lane_queued{pool=\"jobs\",lane=\"1\"} 0");
    assert_line(text, "weir_pool_lane_submitted_total{pool=\"jobs\",lane=\"0\"} 1");
    assert_line(text, "weir_pool_lane_submitted_total{pool=\"jobs\",lane=\"1\"} 1");
    assert_line(text, "weir_pool_lane_rejected_total{pool=\"jobs\",lane=\"0\"} 0");
    assert_line(text, "weir_pool_lane_dropped_total{pool=\"jobs\",lane=\"0\"} 0");
    assert_line(text, "weir_pool_lane_in_place_total{pool=\"jobs\",lane=\"1\"} 0");
    assert_line(text, "weir_pool_lane_blocked_total{pool=\"jobs\",lane=\"1\"} 0");
    ck_assert_ptr_null(strstr(text, "lane=\"2\""));
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_metrics_free(metrics);
    weir_pool_free(pool);
}
END_TEST

struct sleeper {
    weir_channel *channel; /* empty */
    counter begun;
    pid_t tid;
};

static int receive(weir_context *ctx, void *arg)
{
    struct sleeper *sleeper = arg;
    char element;
    sleeper->tid = thread_id();
    counter_add(&sleeper->begun, 1);
    return weir_channel_recv_until(sleeper->channel, &element, ctx, WEIR_FOREVER);
}

START_TEST(a_pool_tells_what_its_workers_do)
{
    gate hold = GATE_INIT;
    struct sleeper sleeper = {.begun = COUNTER_INIT};
    weir_pool *pool = new_pool(3, 4);
    weir_metrics *metrics = new_metrics();
    ck_assert_int_eq(weir_channel_new(&sleeper.channel, 1, 1), 0);
    ck_assert_int_eq(weir_metrics_add_pool(metrics, "a", pool), 0);
    ck_assert_int_eq(weir_pool_submit(pool, receive, &sleeper), 0);
    ck_assert_int_eq(weir_pool_submit(pool, gate_task, &hold), 0);
    gate_await(&hold, 1);
    counter_await(&sleeper.begun, 1);
    thread_await_asleep(sleeper.tid);
    const char *text = text_of(metrics);
    assert_line(text, "weir_pool_workers{pool=\"a\",state=\"busy\"} 1");
    assert_line(text, "weir_pool_workers{pool=\"a\",state=\"blocked\"} 1");
    assert_line(text, "weir_pool_workers{pool=\"a\",state=\"idle\"} 1");
    assert_line(text, "weir_pool_workers_max{pool=\"a\"} 3");
    assert_line(text, "weir_pool_workers_added_total{pool=\"a\"} 0");
    assert_line(text, "weir_pool_workers_left_total{pool=\"a\"} 0");
    assert_line(text, "weir_pool_workers_failed_total{pool=\"a\"} 0");
    gate_open(&hold);
    ck_assert_int_eq(weir_channel_send(sleeper.channel, "x"), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    text = text_of(metrics);
    assert_line(text, "weir_pool_workers{pool=\"a\",state=\"blocked\"} 0");
    ck_assert(!has_line(text, "weir_pool_blocked_seconds_total{pool=\"a\"} 0.000000000"));
    ck_assert(!has_line(text, "weir_pool_busy_seconds_total{pool=\"a\"} 0.000000000"));
    weir_metrics_free(metrics);
    weir_channel_free(sleeper.channel);
    finish_pool(pool);
}
END_TEST

/* The number in the line that begins so. */
static double number_of(const char *text, const char *begin)
{
    for (; *text != '\0'; text = strchr(text, '\n') + 1)
        if (strncmp(text, begin, strlen(begin)) == 0)
            return strtod(text + strlen(begin), NULL);
    return NAN;
}

START_TEST(the_histograms_are_those_of_the_stats)
{
    counter ran = COUNTER_INIT;
    weir_pool *pool;
    weir_metrics *metrics = new_metrics();
    ck_assert_int_eq(
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2, .measure = WEIR_MEASURE_ALL)), 0);
    ck_assert_int_eq(weir_metrics_add_pool(metrics, "a", pool), 0);
    for (int i = 0; i < 30; i++)
        ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_pool_stats stats = {.size = sizeof stats};
    ck_assert_int_eq(weir_pool_read_stats(pool, &stats), 0);
    const char *text = text_of(metrics);
    assert_line(text, "# TYPE weir_pool_wait_seconds histogram");
    assert_line(text, "weir_pool_wait_seconds_count{pool=\"a\"} 30");
    assert_line(text, "weir_pool_run_seconds_count{pool=\"a\"} 30");
    assert_line(text, "weir_pool_run_seconds_bucket{pool=\"a\",le=\"+Inf\"} 30");
    ck_assert_uint_eq(lines(text, "weir_pool_run_seconds_bucket{"), 14u);
    double sum = number_of(text, "weir_pool_run_seconds_sum{pool=\"a\"} ");
    ck_assert_uint_eq((uint64_t)llround(sum * 1e9), stats.run.sum);
    uint64_t below = 0, first, last;
    for (size_t i = 0; i < WEIR_HISTOGRAM_BUCKETS; i++)
        if (weir_histogram_bounds(i, &first, &last) == 0 && last < 1 << 20)
            below += stats.wait.buckets[i];
    ck_assert_double_eq(
        number_of(text, "weir_pool_wait_seconds_bucket{pool=\"a\",le=\"0.001048576\"} "),
        (double)below);
    weir_metrics_free(metrics);
    finish_pool(pool);
}
END_TEST

static int make_nothing(void *user, void **ret_resource)
{
    *ret_resource = user;
    return 0;
}

START_TEST(every_kind_of_object_tells_its_state)
{
    weir_semaphore semaphore;
    weir_channel *channel;
    weir_limiter limiter;
    weir_window *window;
    weir_breaker breaker;
    weir_lease_pool *leases;
    weir_topic *topic;
    weir_errgroup *group;
    weir_pool *pool = new_pool(1, 4);
    weir_metrics *metrics = new_metrics();
    ck_assert_int_eq(weir_semaphore_init(&semaphore, 3), 0);
    ck_assert_int_eq(weir_semaphore_acquire(&semaphore, 1), 0);
    ck_assert_int_eq(weir_channel_new(&channel, 1, 5), 0);
    ck_assert_int_eq(weir_channel_send(channel, "x"), 0);
    ck_assert_int_eq(weir_limiter_init(&limiter, 0, 7), 0);
    ck_assert_int_eq(weir_limiter_allow(&limiter, 3), 0);
    ck_assert_int_eq(weir_window_new(&window, 9, WEIR_S(1000000)), 0);
    ck_assert_int_eq(weir_window_allow(window, 2), 0);
    ck_assert_int_eq(weir_breaker_init(&breaker, NULL), 0);
    ck_assert_int_eq(
        weir_lease_pool_new(&leases, WEIR_LEASE_OPTIONS(.max = 4, .min_idle = 1,
                                                        .make = make_nothing, .user = &limiter)),
        0);
    ck_assert_int_eq(weir_topic_new(&topic), 0);
    ck_assert_int_eq(weir_topic_publish(topic, "x"), 0);
    ck_assert_int_eq(weir_errgroup_new(&group, pool, NULL, WEIR_ERRGROUP_OPTIONS(.limit = 6)), 0);
    ck_assert_int_eq(weir_metrics_add_semaphore(metrics, "a", &semaphore), 0);
    ck_assert_int_eq(weir_metrics_add_channel(metrics, "a", channel), 0);
    ck_assert_int_eq(weir_metrics_add_limiter(metrics, "a", &limiter), 0);
    ck_assert_int_eq(weir_metrics_add_window(metrics, "a", window), 0);
    ck_assert_int_eq(weir_metrics_add_breaker(metrics, "a", &breaker), 0);
    ck_assert_int_eq(weir_metrics_add_lease_pool(metrics, "a", leases), 0);
    ck_assert_int_eq(weir_metrics_add_topic(metrics, "a", topic), 0);
    ck_assert_int_eq(weir_metrics_add_errgroup(metrics, "a", group), 0);
    const char *text = text_of(metrics);
    assert_line(text, "weir_semaphore_permits{semaphore=\"a\"} 3");
    assert_line(text, "weir_semaphore_available{semaphore=\"a\"} 2");
    assert_line(text, "weir_semaphore_waiting{semaphore=\"a\"} 0");
    assert_line(text, "weir_channel_elements{channel=\"a\"} 1");
    assert_line(text, "weir_channel_capacity{channel=\"a\"} 5");
    assert_line(text, "weir_channel_closed{channel=\"a\"} 0");
    assert_line(text, "weir_limiter_tokens{limiter=\"a\"} 4");
    assert_line(text, "weir_limiter_burst{limiter=\"a\"} 7");
    assert_line(text, "weir_window_used{window=\"a\"} 2");
    assert_line(text, "weir_window_max{window=\"a\"} 9");
    assert_line(text, "weir_breaker_state{breaker=\"a\",state=\"closed\"} 1");
    assert_line(text, "weir_breaker_state{breaker=\"a\",state=\"open\"} 0");
    assert_line(text, "weir_breaker_calls_total{breaker=\"a\",answer=\"allowed\"} 0");
    assert_line(text, "weir_lease_pool_resources{lease_pool=\"a\",state=\"idle\"} 1");
    assert_line(text, "weir_lease_pool_max{lease_pool=\"a\"} 4");
    assert_line(text, "weir_topic_published_total{topic=\"a\"} 1");
    assert_line(text, "weir_errgroup_members{errgroup=\"a\"} 0");
    assert_line(text, "weir_errgroup_limit{errgroup=\"a\"} 6");
    weir_metrics_free(metrics); /* with all of them in it */
    weir_errgroup_free(group);
    weir_topic_free(topic);
    weir_lease_pool_free(leases);
    weir_window_free(window);
    weir_channel_free(channel);
    weir_semaphore_destroy(&semaphore);
    finish_pool(pool); /* it is in no metrics any more */
}
END_TEST

START_TEST(a_family_has_one_head_and_stands_together)
{
    weir_metrics *metrics = new_metrics();
    weir_semaphore a, b;
    ck_assert_int_eq(weir_semaphore_init(&a, 1), 0);
    ck_assert_int_eq(weir_semaphore_init(&b, 2), 0);
    ck_assert_int_eq(weir_metrics_add_semaphore(metrics, "a", &a), 0);
    ck_assert_int_eq(weir_metrics_add_semaphore(metrics, "b", &b), 0);
    ck_assert_int_eq(weir_metrics_add_gauge(metrics, "x", "X.", WEIR_LABELS({"n", "1"}), two, NULL),
                     0);
    ck_assert_int_eq(weir_metrics_add_counter(metrics, "y_total", "Y.", NULL, two, NULL), 0);
    ck_assert_int_eq(weir_metrics_add_gauge(metrics, "x", "X.", WEIR_LABELS({"n", "2"}), two, NULL),
                     0);
    const char *text = text_of(metrics);
    ck_assert_uint_eq(lines(text, "# HELP weir_semaphore_permits "), 1u);
    ck_assert_uint_eq(lines(text, "# TYPE weir_semaphore_permits "), 1u);
    ck_assert_uint_eq(lines(text, "weir_semaphore_permits{"), 2u);
    ck_assert_ptr_nonnull(strstr(text, "# HELP x X.\n# TYPE x gauge\nx{n=\"1\"} 2\nx{n=\"2\"} 2\n"
                                       "# HELP y_total Y.\n# TYPE y_total counter\ny_total 2\n"));
    weir_metrics_free(metrics);
}
END_TEST

START_TEST(names_labels_and_help_are_escaped)
{
    weir_metrics *metrics = new_metrics();
    weir_semaphore semaphore;
    ck_assert_int_eq(weir_semaphore_init(&semaphore, 1), 0);
    ck_assert_int_eq(weir_metrics_add_semaphore(metrics, "a\"b\\c\nd \xe2\x82\xac", &semaphore), 0);
    ck_assert_int_eq(weir_metrics_add_gauge(metrics, "x", "One \"two\" \\ three\nfour.",
                                            WEIR_LABELS({"z", "\n"}, {"a", "\\"}, {"m", "\""}), two,
                                            NULL),
                     0);
    const char *text = text_of(metrics);
    assert_line(text, "weir_semaphore_permits{semaphore=\"a\\\"b\\\\c\\nd \xe2\x82\xac\"} 1");
    assert_line(text, "# HELP x One \"two\" \\\\ three\\nfour.");
    assert_line(text, "x{a=\"\\\\\",m=\"\\\"\",z=\"\\n\"} 2"); /* in the order of the names */
    weir_metrics_free(metrics);
}
END_TEST

START_TEST(numbers_are_written_so_that_they_can_be_read_back)
{
    static const double numbers[] = {
        0, -0.0, 1, -1, 0.1, 1.0 / 3, 123456789.125, 1e300, 5e-324, 1e21, 9007199254740993.0};
    weir_metrics *metrics = new_metrics();
    double number = 0;
    ck_assert_int_eq(weir_metrics_add_gauge(metrics, "x", "X.", NULL, value, &number), 0);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        number = numbers[i];
        const char *line = strstr(text_of(metrics), "\nx ");
        ck_assert_ptr_nonnull(line);
        char *end;
        double read = strtod(line + 3, &end);
        ck_assert(memcmp(&read, &number, sizeof read) == 0);
        ck_assert_int_eq(*end, '\n');
    }
    number = 0.1;
    assert_line(text_of(metrics), "x 0.1");
    number = NAN;
    assert_line(text_of(metrics), "x NaN");
    number = INFINITY;
    assert_line(text_of(metrics), "x +Inf");
    number = -INFINITY;
    assert_line(text_of(metrics), "x -Inf");
    weir_metrics_free(metrics);
}
END_TEST

START_TEST(a_text_longer_than_any_buffer_is_whole)
{
    weir_metrics *metrics = new_metrics();
    static char name[5000];
    memset(name, 'n', sizeof name - 1);
    weir_semaphore semaphore;
    ck_assert_int_eq(weir_semaphore_init(&semaphore, 1), 0);
    ck_assert_int_eq(weir_metrics_add_semaphore(metrics, name, &semaphore), 0);
    static char line[6000];
    (void)snprintf(line, sizeof line, "weir_semaphore_available{semaphore=\"%s\"} 1", name);
    assert_line(text_of(metrics), line);
    weir_metrics_free(metrics);
}
END_TEST

/* What can be added, and removed. */

START_TEST(what_is_there_already_is_refused)
{
    weir_metrics *metrics = new_metrics();
    weir_semaphore a, b;
    ck_assert_int_eq(weir_semaphore_init(&a, 1), 0);
    ck_assert_int_eq(weir_semaphore_init(&b, 1), 0);
    ck_assert_int_eq(weir_metrics_add_semaphore(metrics, "a", &a), 0);
    ck_assert_int_eq(weir_metrics_add_semaphore(metrics, "a", &b), -EEXIST);
    ck_assert_int_eq(weir_metrics_add_semaphore(metrics, "b", &a), -EEXIST);
    ck_assert_int_eq(weir_metrics_remove(metrics, &a), 0);
    ck_assert_int_eq(weir_metrics_add_semaphore(metrics, "a", &b), 0);
    ck_assert_int_eq(
        weir_metrics_add_gauge(metrics, "x", "X.", WEIR_LABELS({"a", "1"}, {"b", "2"}), two, NULL),
        0);
    ck_assert_int_eq(
        weir_metrics_add_gauge(metrics, "x", "X.", WEIR_LABELS({"b", "2"}, {"a", "1"}), two, NULL),
        -EEXIST);
    ck_assert_int_eq(weir_metrics_add_gauge(metrics, "x", "X.", WEIR_LABELS({"b", "2"}), two, NULL),
                     0);
    ck_assert_int_eq(weir_metrics_add_gauge(metrics, "x", "X.", NULL, two, NULL), 0);
    ck_assert_int_eq(weir_metrics_add_gauge(metrics, "x", "Y.", WEIR_LABELS({"c", "3"}), two, NULL),
                     -EINVAL);
    ck_assert_int_eq(
        weir_metrics_add_counter(metrics, "x", "X.", WEIR_LABELS({"c", "3"}), two, NULL), -EINVAL);
    ck_assert_uint_eq(lines(text_of(metrics), "x"), 3u);
    weir_metrics_free(metrics);
}
END_TEST

static int add(weir_metrics *metrics, const char *name, const char *help, const weir_label labels[])
{
    return weir_metrics_add_gauge(metrics, name, help, labels, two, NULL);
}

START_TEST(arguments_that_can_never_be_valid_are_refused)
{
    static const char *const bad_names[] = {NULL,  "",     "1a", "a b",   "a-b",
                                            "a\n", "\xc3", "é",  "weir_x"};
    static const char *const bad_texts[] = {NULL,
                                            "",
                                            "\xff",
                                            "\xc0\x80",
                                            "\xe0\x80\x80",
                                            "\xed\xa0\x80",
                                            "\xe2\x82",
                                            "\xf4\x90\x80\x80",
                                            "a\xf0\x9f\x98",
                                            "\x80"};
    static const char *const bad_labels[] = {"", "1a", "a b", "a:b", "__a", "a\"", "\xc3"};
    weir_metrics *metrics = new_metrics();
    weir_semaphore semaphore;
    ck_assert_int_eq(weir_semaphore_init(&semaphore, 1), 0);
    ck_assert_int_eq(weir_metrics_new(NULL), -EINVAL);
    weir_metrics_free(NULL);
    for (size_t i = 0; i < sizeof bad_names / sizeof bad_names[0]; i++)
        ck_assert_int_eq(add(metrics, bad_names[i], "X.", NULL), -EINVAL);
    for (size_t i = 0; i < sizeof bad_texts / sizeof bad_texts[0]; i++) {
        ck_assert_int_eq(weir_metrics_add_semaphore(metrics, bad_texts[i], &semaphore), -EINVAL);
        ck_assert_int_eq(add(metrics, "x", bad_texts[i], NULL), -EINVAL);
        ck_assert_int_eq(add(metrics, "x", "X.", WEIR_LABELS({"a", bad_texts[i]})), -EINVAL);
    }
    for (size_t i = 0; i < sizeof bad_labels / sizeof bad_labels[0]; i++)
        ck_assert_int_eq(add(metrics, "x", "X.", WEIR_LABELS({bad_labels[i], "v"})), -EINVAL);
    ck_assert_int_eq(add(metrics, "x", "X.", WEIR_LABELS({"a", "1"}, {"a", "2"})), -EINVAL);
    ck_assert_int_eq(add(NULL, "x", "X.", NULL), -EINVAL);
    ck_assert_int_eq(weir_metrics_add_counter(metrics, "x", "X.", NULL, NULL, NULL), -EINVAL);
    ck_assert_int_eq(weir_metrics_add_semaphore(NULL, "a", &semaphore), -EINVAL);
    ck_assert_int_eq(weir_metrics_add_semaphore(metrics, "a", NULL), -EINVAL);
    ck_assert_int_eq(weir_metrics_add_pool(metrics, "a", NULL), -EINVAL);
    ck_assert_int_eq(weir_metrics_add_channel(metrics, "a", NULL), -EINVAL);
    ck_assert_int_eq(weir_metrics_add_limiter(metrics, "a", NULL), -EINVAL);
    ck_assert_int_eq(weir_metrics_add_window(metrics, "a", NULL), -EINVAL);
    ck_assert_int_eq(weir_metrics_add_breaker(metrics, "a", NULL), -EINVAL);
    ck_assert_int_eq(weir_metrics_add_lease_pool(metrics, "a", NULL), -EINVAL);
    ck_assert_int_eq(weir_metrics_add_topic(metrics, "a", NULL), -EINVAL);
    ck_assert_int_eq(weir_metrics_add_errgroup(metrics, "a", NULL), -EINVAL);
    ck_assert_int_eq(weir_metrics_remove(NULL, &semaphore), -EINVAL);
    ck_assert_int_eq(weir_metrics_remove(metrics, NULL), -EINVAL);
    ck_assert_int_eq(weir_metrics_remove(metrics, &semaphore), -EINVAL);
    ck_assert_int_eq(weir_metrics_write(NULL, append, NULL), -EINVAL);
    ck_assert_int_eq(weir_metrics_write(metrics, NULL, NULL), -EINVAL);
    ck_assert_str_eq(text_of(metrics), "");
    ck_assert_int_eq(add(metrics, "a:b_1", "X.", WEIR_LABELS({"_a1", "\xf0\x9f\x98\x80"})), 0);
    weir_metrics_free(metrics);
}
END_TEST

START_TEST(removing_an_argument_removes_all_its_metrics)
{
    weir_metrics *metrics = new_metrics();
    double a = 1, b = 2;
    ck_assert_int_eq(weir_metrics_add_gauge(metrics, "x", "X.", NULL, value, &a), 0);
    ck_assert_int_eq(weir_metrics_add_counter(metrics, "y", "Y.", NULL, value, &a), 0);
    ck_assert_int_eq(weir_metrics_add_counter(metrics, "z", "Z.", NULL, value, &b), 0);
    ck_assert_int_eq(weir_metrics_remove(metrics, &a), 0);
    ck_assert_int_eq(weir_metrics_remove(metrics, &a), -EINVAL);
    ck_assert_str_eq(text_of(metrics), "# HELP z Z.\n# TYPE z counter\nz 2\n");
    weir_metrics_free(metrics);
}
END_TEST

/* Writing. */

struct stop {
    size_t after; /* calls */
    int err;
};

static int stop_after(const char *text, size_t n, void *arg)
{
    (void)text;
    (void)n;
    struct stop *stop = arg;
    ck_assert_int_ne(stop->err, 0);
    return stop->after-- == 0 ? stop->err : 0;
}

START_TEST(an_error_of_the_callback_ends_the_write_at_once)
{
    weir_metrics *metrics = new_metrics();
    weir_semaphore semaphores[40];
    char name[16];
    for (int i = 0; i < 40; i++) {
        (void)snprintf(name, sizeof name, "s%d", i);
        ck_assert_int_eq(weir_semaphore_init(&semaphores[i], 1), 0);
        ck_assert_int_eq(weir_metrics_add_semaphore(metrics, name, &semaphores[i]), 0);
        ck_assert_int_eq(weir_metrics_add_gauge(metrics, name, "X.", NULL, two, NULL), 0);
    }
    for (size_t i = 0; i < 6; i++) {
        struct stop stop = {i, i % 2 == 0 ? -EIO : 7};
        ck_assert_int_eq(weir_metrics_write(metrics, stop_after, &stop), i % 2 == 0 ? -EIO : 7);
        ck_assert_uint_eq(stop.after, SIZE_MAX); /* not called again */
    }
    ck_assert_uint_eq(lines(text_of(metrics), "weir_semaphore_permits{"), 40u);
    for (int i = 0; i < 40; i++) /* nothing is kept by a write that ended early */
        ck_assert_int_eq(weir_metrics_remove(metrics, &semaphores[i]), 0);
    weir_metrics_free(metrics);
}
END_TEST

static int to_descriptor(const char *text, size_t n, void *arg)
{
    return write(*(int *)arg, text, n) == (ssize_t)n ? 0 : -errno;
}

START_TEST(a_full_disk_is_an_error_of_the_callback)
{
    int full = open("/dev/full", O_WRONLY);
    if (full < 0)
        return; /* no such device here */
    weir_metrics *metrics = new_metrics();
    ck_assert_int_eq(weir_metrics_add_gauge(metrics, "x", "X.", NULL, two, NULL), 0);
    ck_assert_int_eq(weir_metrics_write(metrics, to_descriptor, &full), -ENOSPC);
    assert_line(text_of(metrics), "x 2");
    weir_metrics_free(metrics);
    (void)close(full);
}
END_TEST

/* A writer that is held in its callback. */
struct writer {
    weir_metrics *metrics;
    gate hold;
    struct page page;
};

static int held_append(const char *text, size_t n, void *arg)
{
    struct writer *writer = arg;
    gate_wait(&writer->hold);
    return append(text, n, &writer->page);
}

static int write_held(void *arg)
{
    struct writer *writer = arg;
    return weir_metrics_write(writer->metrics, held_append, writer);
}

START_TEST(a_callback_that_blocks_holds_up_nothing_else)
{
    static struct writer writer = {.hold = GATE_INIT};
    weir_pool *pool = new_pool(1, 4);
    weir_semaphore semaphores[40];
    char name[16];
    writer.metrics = new_metrics();
    ck_assert_int_eq(weir_metrics_add_pool(writer.metrics, "a", pool), 0);
    for (int i = 0; i < 40; i++) { /* more than a buffer: it is held in the midst of the list */
        (void)snprintf(name, sizeof name, "s%d", i);
        ck_assert_int_eq(weir_semaphore_init(&semaphores[i], 1), 0);
        ck_assert_int_eq(weir_metrics_add_semaphore(writer.metrics, name, &semaphores[i]), 0);
    }
    caller thread;
    caller_start(&thread, write_held, &writer);
    gate_await(&writer.hold, 1);
    ck_assert_uint_eq(lines(text_of(writer.metrics), "weir_semaphore_permits{"), 40u);
    counter ran = COUNTER_INIT;
    ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_int_eq(weir_metrics_remove(writer.metrics, pool), 0);
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(weir_metrics_remove(writer.metrics, &semaphores[i]), 0);
    memset(semaphores, 0xff, sizeof semaphores); /* they are the program's again */
    ck_assert_int_eq(weir_metrics_add_gauge(writer.metrics, "x", "X.", NULL, two, NULL), 0);
    weir_pool_free(pool);
    ck_assert_str_eq(text_of(writer.metrics), "# HELP x X.\n# TYPE x gauge\nx 2\n");
    gate_open(&writer.hold);
    ck_assert_int_eq(caller_join(&thread), 0);
    assert_line(writer.page.text, "x 2");
    weir_metrics_free(writer.metrics);
}
END_TEST

static int change_inside(const char *text, size_t n, void *arg)
{
    static double number = 1;
    (void)text;
    (void)n;
    weir_metrics *metrics = arg;
    int err = weir_metrics_add_gauge(metrics, "y", "Y.", NULL, value, &number);
    return err != 0 ? err : weir_metrics_remove(metrics, &number);
}

START_TEST(a_callback_may_add_and_remove)
{
    weir_metrics *metrics = new_metrics();
    ck_assert_int_eq(weir_metrics_add_gauge(metrics, "x", "X.", NULL, two, NULL), 0);
    ck_assert_int_eq(weir_metrics_write(metrics, change_inside, metrics), 0);
    weir_metrics_free(metrics);
}
END_TEST

/* A function of the program's that is held. */
struct held {
    weir_metrics *metrics;
    gate hold;
    int result;
};

static double held_value(void *arg)
{
    struct held *held = arg;
    gate_wait(&held->hold);
    return 3;
}

static int write_page(void *arg)
{
    static struct page page;
    return weir_metrics_write(arg, append, &page);
}

static int remove_held(void *arg)
{
    struct held *held = arg;
    return weir_metrics_remove(held->metrics, held);
}

START_TEST(a_remove_waits_for_the_function_that_is_under_way)
{
    static struct held held = {.hold = GATE_INIT};
    weir_metrics *metrics = held.metrics = new_metrics();
    double other = 1;
    ck_assert_int_eq(weir_metrics_add_gauge(metrics, "x", "X.", NULL, held_value, &held), 0);
    caller writer, remover;
    caller_start(&writer, write_page, metrics);
    gate_await(&held.hold, 1);
    caller_start(&remover, remove_held, &held);
    ck_assert(caller_await_asleep(&remover));
    ck_assert_int_eq(weir_metrics_add_gauge(metrics, "y", "Y.", NULL, value, &other), 0);
    assert_line(text_of(metrics), "y 1"); /* and not x, which is removed */
    ck_assert_int_eq(weir_metrics_remove(metrics, &other), 0);
    ck_assert_int_eq(weir_metrics_remove(metrics, &held), -EINVAL); /* another thread does */
    ck_assert(!caller_is_over(&remover));
    gate_open(&held.hold);
    ck_assert_int_eq(caller_join(&remover), 0);
    ck_assert_int_eq(caller_join(&writer), 0);
    weir_metrics_free(metrics);
}
END_TEST

static double remove_inside(void *arg)
{
    struct held *held = arg;
    held->result = weir_metrics_remove(held->metrics, held);
    return 1;
}

START_TEST(a_function_cannot_remove)
{
    struct held held = {.metrics = new_metrics()};
    ck_assert_int_eq(weir_metrics_add_gauge(held.metrics, "x", "X.", NULL, remove_inside, &held),
                     0);
    assert_line(text_of(held.metrics), "x 1");
    ck_assert_int_eq(held.result, -EDEADLK);
    ck_assert_int_eq(weir_metrics_remove(held.metrics, &held), 0);
    weir_metrics_free(held.metrics);
}
END_TEST

/* Many at once. */

enum { ROUNDS = 300 };

struct crowd {
    weir_metrics *metrics;
    unsigned index;
};

static int come_and_go(void *arg)
{
    struct crowd *crowd = arg;
    char name[16];
    (void)snprintf(name, sizeof name, "%u", crowd->index);
    for (int i = 0; i < ROUNDS; i++) {
        weir_semaphore *semaphore = calloc(1, sizeof *semaphore);
        double *number = calloc(1, sizeof *number);
        int err = semaphore == NULL || number == NULL ? -ENOMEM : 0;
        if (err == 0)
            err = weir_semaphore_init(semaphore, 1);
        if (err == 0)
            err = weir_metrics_add_semaphore(crowd->metrics, name, semaphore);
        if (err == 0)
            err = weir_metrics_add_gauge(crowd->metrics, "x", "X.", WEIR_LABELS({"n", name}), value,
                                         number);
        if (err == 0)
            err = weir_metrics_remove(crowd->metrics, semaphore);
        if (err == 0)
            err = weir_metrics_remove(crowd->metrics, number);
        free(semaphore);
        free(number);
        if (err != 0)
            return err;
    }
    return 0;
}

static int write_often(void *arg)
{
    struct crowd *crowd = arg;
    static _Thread_local struct page page;
    for (int i = 0; i < ROUNDS; i++) {
        page.length = 0;
        int err = weir_metrics_write(crowd->metrics, append, &page);
        if (err == 0 && (lines(page.text, "# TYPE x ") > 1 || lines(page.text, "stays 2\n") != 1))
            err = -EPROTO;
        if (err != 0)
            return err;
    }
    return 0;
}

START_TEST(objects_come_and_go_while_two_threads_write)
{
    weir_metrics *metrics = new_metrics();
    ck_assert_int_eq(weir_metrics_add_gauge(metrics, "stays", "X.", NULL, two, NULL), 0);
    caller threads[4];
    struct crowd crowd[4];
    for (unsigned i = 0; i < 4; i++) {
        crowd[i] = (struct crowd){metrics, i};
        caller_start(&threads[i], i < 2 ? come_and_go : write_often, &crowd[i]);
    }
    for (unsigned i = 0; i < 4; i++)
        ck_assert_int_eq(caller_join(&threads[i]), 0);
    ck_assert_str_eq(text_of(metrics), "# HELP stays X.\n# TYPE stays gauge\nstays 2\n");
    weir_metrics_free(metrics);
}
END_TEST

/* Fork, and misuse. */

START_TEST(in_a_forked_child_every_call_is_stale)
{
    weir_metrics *metrics = new_metrics();
    weir_pool *pool = new_pool(1, 1);
    double number = 1;
    ck_assert_int_eq(weir_metrics_add_pool(metrics, "a", pool), 0);
    ck_assert_int_eq(weir_metrics_add_gauge(metrics, "x", "X.", NULL, value, &number), 0);
    pid_t child = fork();
    if (child == 0) {
        weir_metrics *fresh = NULL;
        bool right = weir_metrics_write(metrics, append, NULL) == -ESTALE &&
                     weir_metrics_remove(metrics, pool) == -ESTALE &&
                     weir_metrics_add_gauge(metrics, "y", "Y.", NULL, value, &number) == -ESTALE &&
                     weir_metrics_new(&fresh) == 0 &&
                     weir_metrics_add_pool(fresh, "a", pool) == -ESTALE;
        weir_pool_free(pool);
        weir_metrics_free(metrics);
        weir_metrics_free(fresh);
        _exit(right ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert_int_eq(weir_metrics_remove(metrics, pool), 0);
    weir_metrics_free(metrics);
    finish_pool(pool);
}
END_TEST

static void free_pool_in_metrics(void *arg)
{
    (void)arg;
    weir_metrics *metrics;
    weir_pool *pool;
    if (weir_metrics_new(&metrics) == 0 && weir_pool_new(&pool, NULL) == 0 &&
        weir_metrics_add_pool(metrics, "a", pool) == 0)
        weir_pool_free(pool);
}

static int free_inside(const char *text, size_t n, void *arg)
{
    (void)text;
    (void)n;
    weir_metrics_free(arg);
    return 0;
}

static void free_while_written(void *arg)
{
    (void)arg;
    weir_metrics *metrics;
    if (weir_metrics_new(&metrics) == 0 &&
        weir_metrics_add_gauge(metrics, "x", "X.", NULL, two, NULL) == 0)
        (void)!weir_metrics_write(metrics, free_inside, metrics);
}

START_TEST(misuse_aborts_with_a_sentence)
{
    assert_aborts(free_pool_in_metrics, NULL, "weir_pool_free: metrics still read the pool.");
    assert_aborts(free_while_written, NULL, "weir_metrics_free: a write or a remove is under way.");
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("metrics");
    TCase *text = add_group(suite, "text");
    tcase_add_test(text, a_pool_tells_its_counts);
    tcase_add_test(text, a_pool_tells_of_its_lanes);
    tcase_add_test(text, a_pool_tells_what_its_workers_do);
    tcase_add_test(text, the_histograms_are_those_of_the_stats);
    tcase_add_test(text, every_kind_of_object_tells_its_state);
    tcase_add_test(text, a_family_has_one_head_and_stands_together);
    tcase_add_test(text, names_labels_and_help_are_escaped);
    tcase_add_test(text, numbers_are_written_so_that_they_can_be_read_back);
    tcase_add_test(text, a_text_longer_than_any_buffer_is_whole);
    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, what_is_there_already_is_refused);
    tcase_add_test(contract, arguments_that_can_never_be_valid_are_refused);
    tcase_add_test(contract, removing_an_argument_removes_all_its_metrics);
    TCase *writing = add_group(suite, "writing");
    tcase_add_test(writing, an_error_of_the_callback_ends_the_write_at_once);
    tcase_add_test(writing, a_full_disk_is_an_error_of_the_callback);
    tcase_add_test(writing, a_callback_that_blocks_holds_up_nothing_else);
    tcase_add_test(writing, a_callback_may_add_and_remove);
    tcase_add_test(writing, a_remove_waits_for_the_function_that_is_under_way);
    tcase_add_test(writing, a_function_cannot_remove);
    tcase_add_test(writing, objects_come_and_go_while_two_threads_write);
    TCase *fork_group = add_group(suite, "fork");
    tcase_add_test(fork_group, in_a_forked_child_every_call_is_stale);
    TCase *misuse = add_group(suite, "misuse");
    tcase_add_test(misuse, misuse_aborts_with_a_sentence);
    return suite;
}
