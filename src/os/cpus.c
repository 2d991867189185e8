/* SPDX-License-Identifier: MIT */
/* cpus.c - how many CPUs this process may use, on Linux. */
#include "os/cpus.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned affinity(void)
{
    /* The kernel refuses a set that is too small for the machine. */
    for (int cpus = 1024; cpus <= 1 << 18; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)cpus);
        if (set == NULL)
            break;
        size_t size = CPU_ALLOC_SIZE((size_t)cpus);
        int err = sched_getaffinity(0, size, set) == 0 ? 0 : errno;
        int count = err == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (err == 0 && count > 0)
            return (unsigned)count;
        if (err != EINVAL)
            break;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

/* Reads the first line of a file without its newline; false if there is none. */
static bool first_line(const char *path, char *line, int size)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    bool got = fgets(line, size, file) != NULL;
    (void)fclose(file);
    if (got)
        line[strcspn(line, "\n")] = '\0';
    return got;
}

static unsigned ratio(long long quota, long long period)
{
    if (quota <= 0 || period <= 0)
        return 0;
    long long cpus = (quota + period - 1) / period;
    return cpus < 1 << 20 ? (unsigned)cpus : 0;
}

/* What one control group allows; 0: no limit. */
static unsigned quota_v2(const char *group)
{
    char path[4096 + 64], line[128];
    long long quota, period;
    (void)snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
    if (!first_line(path, line, sizeof line) || sscanf(line, "%lld %lld", &quota, &period) != 2)
        return 0;
    return ratio(quota, period);
}

static unsigned quota_v1(const char *group)
{
    char path[4096 + 64], line[64];
    (void)snprintf(path, sizeof path, "/sys/fs/cgroup/cpu%s/cpu.cfs_quota_us", group);
    if (!first_line(path, line, sizeof line))
        return 0;
    long long quota = strtoll(line, NULL, 10);
    (void)snprintf(path, sizeof path, "/sys/fs/cgroup/cpu%s/cpu.cfs_period_us", group);
    return first_line(path, line, sizeof line) ? ratio(quota, strtoll(line, NULL, 10)) : 0;
}

/* The tightest quota of a group and all groups above it; 0: no limit. Shortens `group`. */
static unsigned quota_upwards(char *group, unsigned (*quota)(const char *group))
{
    unsigned least = 0;
    for (;;) {
        unsigned cpus = quota(group);
        if (cpus != 0 && (least == 0 || cpus < least))
            least = cpus;
        char *slash = strrchr(group, '/');
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

static bool names_cpu(const char *controllers, const char *end)
{
    while (controllers < end) {
        size_t length = strcspn(controllers, ",:");
        if (length == 3 && memcmp(controllers, "cpu", 3) == 0)
            return true;
        controllers += length + 1;
    }
    return false;
}

static unsigned cgroup_quota(void)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (file == NULL)
        return 0;
    unsigned least = 0;
    char line[4096];
    while (fgets(line, sizeof line, file) != NULL) { /* "hierarchy:controllers:/group" */
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL)
            continue;
        controllers++;
        unsigned cpus = 0;
        if (controllers == group)
            cpus = quota_upwards(group + 1, quota_v2);
        else if (names_cpu(controllers, group))
            cpus = quota_upwards(group + 1, quota_v1);
        if (cpus != 0 && (least == 0 || cpus < least))
            least = cpus;
    }
    (void)fclose(file);
    return least;
}

unsigned weir__usable_cpus(void)
{
    unsigned cpus = affinity(), quota = cgroup_quota();
    return quota != 0 && quota < cpus ? quota : cpus;
}
