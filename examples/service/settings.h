/* SPDX-License-Identifier: MIT */
/* settings.h - what can be set: by flags, before the environment, before a file. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SETTING_TEXT = 256 };

struct settings {
    char listen[SETTING_TEXT], admin[SETTING_TEXT];
    char database[SETTING_TEXT], tokens[SETTING_TEXT], plugin[SETTING_TEXT];
    int64_t open, bench, access_log, shed;
    int64_t workers, capacity, job_workers, db_connections;
    int64_t target_ms, interval_ms, timeout_ms;
    int64_t rate, burst;
    int64_t breaker_window, breaker_percent, breaker_open_ms, db_acquire_ms, db_slow_ms;
    int64_t max_connections, max_body, max_bodies, subscribers;
    int64_t head_s, body_s, idle_s, heartbeat_s;
    int64_t lame_duck_ms, grace_ms;
    /* Not among what a file can set. */
    char config[SETTING_TEXT];
    bool check, help;
};

/* Reads all of them, from the command line and where that points. Returns 0; -EINVAL, and a
 * sentence that names the setting and where it came from. */
int settings_read(struct settings *ret, int argc, char **argv, char *ret_why, size_t size);

/* Of the settings that a running service cannot change, the name of one that differs; or NULL. */
const char *settings_fixed_change(const struct settings *before, const struct settings *after);

void settings_usage(void);

#endif
