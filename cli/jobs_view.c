/* SPDX-License-Identifier: MIT */
/* jobs_view.c - shows a queue. Keys, records and errors are other people's bytes: what a terminal
 * would obey is shown as \xHH.
 */
#include "jobs_view.h"

#include "json_text.h"

#include <stdio.h>
#include <string.h>

#define SHOWN_RECORD 60 /* so much of a record is shown to people */

static void put_visible(struct buffer *text, const char *data, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)data[i];
        if (c < 0x20 || c == 0x7f)
            buffer_printf(text, "\\x%02X", c);
        else
            buffer_append(text, data + i, 1);
    }
}

static void put_key(struct buffer *text, const char *key)
{
    if (key != NULL)
        put_visible(text, key, strlen(key));
    else
        buffer_append_text(text, "-");
}

/* 850ms, 12s, 3m05s, 2h10m, 4d02h; `ret` has room for 24 bytes. */
static const char *duration(int64_t ns, char *ret)
{
    static const size_t room = 24;
    const char *sign = ns < 0 ? "-" : "";
    unsigned long long ms = (unsigned long long)(ns < 0 ? -(ns + 1) : ns) / 1000000;
    unsigned long long s = ms / 1000;
    if (s < 1)
        snprintf(ret, room, "%s%llums", sign, ms);
    else if (s < 60)
        snprintf(ret, room, "%s%llus", sign, s);
    else if (s < 3600)
        snprintf(ret, room, "%s%llum%02llus", sign, s / 60, s % 60);
    else if (s < 86400)
        snprintf(ret, room, "%s%lluh%02llum", sign, s / 3600, s / 60 % 60);
    else
        snprintf(ret, room, "%s%llud%02lluh", sign, s / 86400, s / 3600 % 24);
    return ret;
}

static void put_count(struct buffer *text, const char *name, uint64_t count)
{
    buffer_printf(text, "%-10s %10llu", name, (unsigned long long)count);
}

void jobs_view_text(struct buffer *text, const weir_queue_stats *stats)
{
    char age[24];
    if (stats->paused)
        buffer_append_text(text, "paused: workers take no jobs until weir jobs URL resume\n");
    put_count(text, "queued", stats->queued);
    if (stats->oldest > 0)
        buffer_printf(text, "  the first for %s", duration(stats->oldest, age));
    buffer_append_text(text, "\n");
    put_count(text, "delayed", stats->delayed);
    buffer_append_text(text, "\n");
    put_count(text, "running", stats->running);
    buffer_printf(text, "  workers: %llu\n", (unsigned long long)stats->workers);
    put_count(text, "dead", stats->dead);
    if (stats->fell_off > 0)
        buffer_printf(text, "  and %llu older ones were dropped",
                      (unsigned long long)stats->fell_off);
    buffer_append_text(text, "\n");
    put_count(text, "done", stats->done);
    buffer_append_text(text, "\n");
    put_count(text, "failed", stats->failed);
    buffer_printf(text, "  attempts; leases lost: %llu\n", (unsigned long long)stats->taken_over);
    if (stats->vanished > 0) {
        put_count(text, "vanished", stats->vanished);
        buffer_append_text(text, "  evicted by the server, or deleted by somebody\n");
    }
}

void jobs_view_running_text(struct buffer *text, const weir_queue_running *job, bool first)
{
    char age[24];
    char left[24];
    if (first)
        buffer_append_text(text,
                           "\nAGE      LEASE    TRY STATE     JOB              WORKER, KEY\n");
    const char *state = job->cancelled ? "cancelled" : job->started ? "running" : "waiting";
    buffer_printf(text, "%-8s %-8s %3u %-9s %-16s ", duration(job->age, age),
                  duration(job->lease_left, left), job->attempt, state, job->id);
    put_visible(text, job->worker, strlen(job->worker));
    buffer_append_text(text, " ");
    put_key(text, job->key);
    buffer_append_text(text, "\n");
}

static const char *cause(weir_death why)
{
    return why == WEIR_DEATH_POISON ? "poison" : why == WEIR_DEATH_WORKER ? "worker" : "failed";
}

/* Indented, so that a job begins where a line does. */
static void put_errors(struct buffer *text, const char *errors, size_t size)
{
    while (size > 0) {
        const char *end = memchr(errors, '\n', size);
        size_t line = end == NULL ? size : (size_t)(end - errors);
        buffer_append_text(text, "    ");
        put_visible(text, errors, line);
        buffer_append_text(text, "\n");
        line += end != NULL;
        errors += line;
        size -= line;
    }
}

void jobs_view_dead_text(struct buffer *text, const weir_queue_dead *job, bool first)
{
    char age[24];
    if (first)
        buffer_append_text(text, "DEAD FOR TRIES STATUS WHY    JOB              KEY, RECORD\n");
    buffer_printf(text, "%-8s %5u %6d %-6s %-16s ", duration(job->age, age), job->attempts,
                  job->status, cause(job->why), job->id);
    put_key(text, job->key);
    buffer_append_text(text, " ");
    size_t shown = job->body_size < SHOWN_RECORD ? job->body_size : SHOWN_RECORD;
    put_visible(text, job->body, shown);
    if (shown < job->size)
        buffer_printf(text, "... (%zu bytes)", job->size);
    buffer_append_text(text, "\n");
    put_errors(text, job->errors, job->errors_size);
}

static void put_json(struct buffer *text, const char *name, const char *value)
{
    buffer_printf(text, ",\"%s\":", name);
    if (value != NULL)
        json_append(text, (struct bytes){value, strlen(value)});
    else
        buffer_append_text(text, "null");
}

static double seconds(int64_t ns)
{
    return (double)ns / 1e9;
}

void jobs_view_json(struct buffer *text, const weir_queue_stats *stats)
{
    const struct {
        const char *name;
        uint64_t count;
    } counts[] = {
        {"queued", stats->queued},       {"delayed", stats->delayed},
        {"running", stats->running},     {"dead", stats->dead},
        {"workers", stats->workers},     {"added", stats->added},
        {"known", stats->known},         {"done", stats->done},
        {"failed", stats->failed},       {"taken_over", stats->taken_over},
        {"buried", stats->buried},       {"fell_off", stats->fell_off},
        {"cancelled", stats->cancelled}, {"vanished", stats->vanished},
    };
    buffer_printf(text, "{\"paused\":%s,\"oldest\":%.3f", stats->paused ? "true" : "false",
                  seconds(stats->oldest));
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        buffer_printf(text, ",\"%s\":%llu", counts[i].name, (unsigned long long)counts[i].count);
}

void jobs_view_running_json(struct buffer *text, const weir_queue_running *job, bool first)
{
    buffer_printf(text, "%s{\"age\":%.3f,\"lease_left\":%.3f,\"attempt\":%u", first ? "" : ",",
                  seconds(job->age), seconds(job->lease_left), job->attempt);
    buffer_printf(text, ",\"started\":%s,\"cancelled\":%s", job->started ? "true" : "false",
                  job->cancelled ? "true" : "false");
    put_json(text, "id", job->id);
    put_json(text, "worker", job->worker);
    put_json(text, "key", job->key);
    buffer_append_text(text, "}");
}

void jobs_view_dead_json(struct buffer *text, const weir_queue_dead *job)
{
    buffer_printf(text, "{\"age\":%.3f,\"attempts\":%u,\"status\":%d,\"why\":\"%s\",\"size\":%zu",
                  seconds(job->age), job->attempts, job->status, cause(job->why), job->size);
    put_json(text, "id", job->id);
    put_json(text, "key", job->key);
    buffer_append_text(text, ",\"record\":");
    json_append(text, (struct bytes){job->body_size == 0 ? "" : job->body, job->body_size});
    buffer_append_text(text, ",\"errors\":");
    json_append(text, (struct bytes){job->errors, job->errors_size});
    buffer_append_text(text, "}\n");
}

static void put_metric(struct buffer *text, const char *name, const char *type, const char *help)
{
    buffer_printf(text, "# HELP weir_queue_%s %s\n# TYPE weir_queue_%s %s\n", name, help, name,
                  type);
}

void jobs_view_metrics(struct buffer *text, const weir_queue_stats *stats)
{
    const struct {
        const char *name, *type, *help;
        uint64_t count;
    } counts[] = {
        {"workers", "gauge", "Workers that serve.", stats->workers},
        {"paused", "gauge", "1: workers take no jobs.", (uint64_t)(stats->paused != 0)},
        {"added_total", "counter", "Jobs pushed.", stats->added},
        {"known_total", "counter", "Messages not added, for their key.", stats->known},
        {"done_total", "counter", "Jobs that succeeded.", stats->done},
        {"failed_total", "counter", "Attempts that failed.", stats->failed},
        {"taken_over_total", "counter", "Leases that were lost.", stats->taken_over},
        {"buried_total", "counter", "Jobs that went to the dead list.", stats->buried},
        {"fell_off_total", "counter", "Jobs that fell off the dead list.", stats->fell_off},
        {"cancelled_total", "counter", "Jobs that were cancelled.", stats->cancelled},
        {"vanished_total", "counter", "Jobs that were evicted or deleted.", stats->vanished},
    };
    put_metric(text, "jobs", "gauge", "Jobs that are there, by their state.");
    buffer_printf(
        text,
        "weir_queue_jobs{state=\"queued\"} %llu\nweir_queue_jobs{state=\"delayed\"} %llu\n"
        "weir_queue_jobs{state=\"running\"} %llu\nweir_queue_jobs{state=\"dead\"} %llu\n",
        (unsigned long long)stats->queued, (unsigned long long)stats->delayed,
        (unsigned long long)stats->running, (unsigned long long)stats->dead);
    put_metric(text, "oldest_seconds", "gauge", "How long the first of those queued has waited.");
    buffer_printf(text, "weir_queue_oldest_seconds %.3f\n", seconds(stats->oldest));
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        put_metric(text, counts[i].name, counts[i].type, counts[i].help);
        buffer_printf(text, "weir_queue_%s %llu\n", counts[i].name,
                      (unsigned long long)counts[i].count);
    }
}
