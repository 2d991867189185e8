/* SPDX-License-Identifier: MIT */
/* option_values.h - the options whose values have a grammar of their own. Each returns whether
 * `value` is one, and sets it then.
 */
#ifndef CLI_OPTION_VALUES_H
#define CLI_OPTION_VALUES_H

#include "settings.h"

bool read_file(struct settings *settings, const char *value);
bool read_delimiter(struct settings *settings, const char *value);
bool set_nul(struct settings *settings, const char *value);
bool read_colsep(struct settings *settings, const char *value);
bool read_placeholder(struct settings *settings, const char *value);
bool set_shell(struct settings *settings, const char *value);
bool set_no_shell(struct settings *settings, const char *value);
bool read_jobs(struct settings *settings, const char *value);
bool set_group(struct settings *settings, const char *value);
bool set_line_buffer(struct settings *settings, const char *value);
bool set_ungroup(struct settings *settings, const char *value);
bool read_backoff(struct settings *settings, const char *value);
bool read_retry_on(struct settings *settings, const char *value);
bool read_halt(struct settings *settings, const char *value);
bool read_timeout(struct settings *settings, const char *value);
bool set_resume(struct settings *settings, const char *value);
bool set_resume_failed(struct settings *settings, const char *value);
bool read_rate(struct settings *settings, const char *value);
bool read_load(struct settings *settings, const char *value);
bool read_breaker(struct settings *settings, const char *value);
bool read_at(struct settings *settings, const char *value);

/* Whether the list of --retry-on has `entry`: a code in decimal, "signal" or "timeout". */
bool retry_on_has(const char *list, const char *entry);

#endif
