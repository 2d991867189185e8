/* SPDX-License-Identifier: MIT */
/* jobs_value.c - the number of slots. What it is a share of are the CPUs that affinity and the
 * control group leave to this process; the library knows them, and a pool tells.
 */
#include "jobs_value.h"

#include "values.h"
#include "weir/pool.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

bool jobs_value_read(struct settings *settings, const char *value)
{
    int64_t number;
    double percent;
    if (*value == '+' || *value == '-') {
        if (!read_number(value + 1, 0, MAX_SLOTS, &number))
            return false;
        settings->jobs_kind = *value == '+' ? JOBS_MORE : JOBS_LESS;
    } else if (read_percent(value, &percent)) {
        settings->jobs_kind = JOBS_PERCENT;
        settings->jobs_percent = percent;
        return true;
    } else {
        if (!read_number(value, 0, MAX_SLOTS, &number))
            return false;
        settings->jobs_kind = JOBS_COUNT;
    }
    settings->jobs = number;
    return true;
}

bool jobs_file_read(struct settings *settings)
{
    char text[64];
    int fd = open(settings->jobs_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (size < 0)
        return false;
    text[size] = '\0';
    text[strcspn(text, " \t\r\n")] = '\0';
    return jobs_value_read(settings, text);
}

unsigned jobs_cpus(void)
{
    weir_pool *pool;
    if (weir_pool_new(&pool, WEIR_POOL_OPTIONS(.capacity = 1)) != 0)
        return 1;
    unsigned cpus = weir_pool_workers(pool);
    weir_pool_free(pool);
    return cpus;
}

unsigned jobs_slots(const struct settings *settings, unsigned cpus)
{
    double slots = cpus;
    if (settings->jobs_kind == JOBS_COUNT)
        slots = settings->jobs == 0 ? MAX_SLOTS : (double)settings->jobs;
    else if (settings->jobs_kind == JOBS_PERCENT)
        slots = cpus * settings->jobs_percent / 100;
    else if (settings->jobs_kind == JOBS_MORE)
        slots = cpus + (double)settings->jobs;
    else if (settings->jobs_kind == JOBS_LESS)
        slots = cpus - (double)settings->jobs;
    if (slots < 1)
        return 1;
    return slots > MAX_SLOTS ? MAX_SLOTS : (unsigned)slots;
}
