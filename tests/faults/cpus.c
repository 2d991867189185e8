/* SPDX-License-Identifier: MIT */
/* cpus.c - machines and control groups of all kinds, as far as weir asks for them: the calls and
 * files by which it learns how many CPUs it may use are played to it.
 */
#include "support/suite.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/alloc.h"
#include "os/cpus.h"
#include "os/thread.h"
#include "support/covered.h"
#include "support/faults.h"
#include "weir.h"

struct file {
    const char *path, *text;
};

enum { FILES = 6 };

/* A machine to be played: its first zero field ends each list. */
struct machine {
    unsigned cpus;     /* that the affinity allows */
    int affinity_errs; /* what sched_getaffinity fails with, every time */
    unsigned mask;     /* the size of the kernel's set of CPUs; smaller ones are refused */
    long online;       /* what sysconf says */
    struct file files[FILES];
    unsigned expected;
};

static const struct machine *playing;
static bool no_set;

cpu_set_t *__real___sched_cpualloc(size_t count);
cpu_set_t *__wrap___sched_cpualloc(size_t count);
int __real_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *ret);
int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *ret);
long __real_sysconf(int name);
long __wrap_sysconf(int name);
FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen64(const char *path, const char *mode);
int __real_pthread_attr_init(pthread_attr_t *attributes);
int __wrap_pthread_attr_init(pthread_attr_t *attributes);

cpu_set_t *__wrap___sched_cpualloc(size_t count)
{
    return no_set ? NULL : __real___sched_cpualloc(count);
}

int __wrap_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *ret)
{
    if (playing == NULL)
        return __real_sched_getaffinity(pid, size, ret);
    int err = playing->affinity_errs;
    if (err == 0 && size * 8 < playing->mask)
        err = EINVAL;
    if (err != 0) {
        errno = err;
        return -1;
    }
    CPU_ZERO_S(size, ret);
    for (size_t i = 0; i < playing->cpus; i++)
        CPU_SET_S(i, size, ret);
    return 0;
}

long __wrap_sysconf(int name)
{
    return playing != NULL && name == _SC_NPROCESSORS_ONLN ? playing->online : __real_sysconf(name);
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
    if (playing == NULL)
        return __real_fopen(path, mode);
    for (int i = 0; i < FILES && playing->files[i].path != NULL; i++) {
        const struct file *file = &playing->files[i];
        if (strcmp(file->path, path) == 0)
            return file->text[0] != '\0'
                       ? fmemopen((void *)(uintptr_t)file->text, strlen(file->text), "r")
                       : __real_fopen("/dev/null", mode);
    }
    errno = ENOENT;
    return NULL;
}

/* What fopen is called where offsets have 64 bits. */
FILE *__wrap_fopen64(const char *path, const char *mode)
{
    return __wrap_fopen(path, mode);
}

static bool no_attributes;

int __wrap_pthread_attr_init(pthread_attr_t *attributes)
{
    return no_attributes ? ENOMEM : __real_pthread_attr_init(attributes);
}

#define GROUP "/sys/fs/cgroup"

static const struct machine machines[] = {
    /* No control groups at all. */
    {.cpus = 3, .expected = 3},
    /* More CPUs than the first set has room for. */
    {.cpus = 1500, .mask = 4096, .expected = 1500},
    /* A kernel that has no answer, and systems that know nothing else, or whose answer fails. */
    {.affinity_errs = EPERM, .online = 6, .expected = 6},
    {.affinity_errs = EPERM, .online = -1, .expected = 1},
    {.affinity_errs = EINVAL, .online = 2, .expected = 2},
    {.cpus = 0, .online = 5, .expected = 5},
    /* Version 2: a quota here, none, one above that is tighter, one that is rounded up. */
    {.cpus = 8,
     .files = {{"/proc/self/cgroup", "0::/a/b\n"}, {GROUP "/a/b/cpu.max", "200000 100000\n"}},
     .expected = 2},
    {.cpus = 8,
     .files = {{"/proc/self/cgroup", "0::/a/b\n"}, {GROUP "/a/b/cpu.max", "max 100000\n"}},
     .expected = 8},
    {.cpus = 8,
     .files = {{"/proc/self/cgroup", "0::/a/b\n"},
               {GROUP "/a/b/cpu.max", "600000 100000\n"},
               {GROUP "/a/cpu.max", "300000 100000\n"},
               {GROUP "/cpu.max", "500000 100000\n"}},
     .expected = 3},
    {.cpus = 8,
     .files = {{"/proc/self/cgroup", "0::/\n"}, {GROUP "/cpu.max", "150000 100000\n"}},
     .expected = 2},
    {.cpus = 8,
     .files = {{"/proc/self/cgroup", "0::/a\n"}, {GROUP "/a/cpu.max", "1 100000\n"}},
     .expected = 1},
    /* A quota of more than there are. */
    {.cpus = 2,
     .files = {{"/proc/self/cgroup", "0::/a\n"}, {GROUP "/a/cpu.max", "900000 100000\n"}},
     .expected = 2},
    /* Version 1, the controller alone, among others, and not at all. */
    {.cpus = 8,
     .files = {{"/proc/self/cgroup", "5:cpuset:/x\n4:cpu,cpuacct:/a\n0::/a\n"},
               {GROUP "/cpu/a/cpu.cfs_quota_us", "400000\n"},
               {GROUP "/cpu/a/cpu.cfs_period_us", "100000\n"}},
     .expected = 4},
    {.cpus = 8,
     .files = {{"/proc/self/cgroup", "4:cpuacct,cpu:/a/b"},
               {GROUP "/cpu/a/cpu.cfs_quota_us", "500000"},
               {GROUP "/cpu/a/cpu.cfs_period_us", "100000"},
               {GROUP "/cpu/a/b/cpu.cfs_quota_us", "-1\n"},
               {GROUP "/cpu/a/b/cpu.cfs_period_us", "100000\n"}},
     .expected = 5},
    {.cpus = 8,
     .files = {{"/proc/self/cgroup", "4:cpuset:/a\n"},
               {GROUP "/cpu/a/cpu.cfs_quota_us", "100000\n"},
               {GROUP "/cpu/a/cpu.cfs_period_us", "100000\n"}},
     .expected = 8},
    /* Both: the tighter counts. */
    {.cpus = 8,
     .files = {{"/proc/self/cgroup", "4:cpu:/a\n0::/b\n"},
               {GROUP "/cpu/a/cpu.cfs_quota_us", "400000\n"},
               {GROUP "/cpu/a/cpu.cfs_period_us", "100000\n"},
               {GROUP "/b/cpu.max", "300000 100000\n"}},
     .expected = 3},
    /* Files that say nothing, or what makes no sense. */
    {.cpus = 8, .files = {{"/proc/self/cgroup", ""}}, .expected = 8},
    {.cpus = 8, .files = {{"/proc/self/cgroup", "nonsense\n\n0:\n"}}, .expected = 8},
    {.cpus = 8, .files = {{"/proc/self/cgroup", "0::\n"}, {GROUP "/cpu.max", ""}}, .expected = 8},
    {.cpus = 8,
     .files = {{"/proc/self/cgroup", "0::/a\n"}, {GROUP "/a/cpu.max", "many CPUs\n"}},
     .expected = 8},
    {.cpus = 8,
     .files = {{"/proc/self/cgroup", "0::/a\n"}, {GROUP "/a/cpu.max", "100000 0\n"}},
     .expected = 8},
    {.cpus = 8,
     .files = {{"/proc/self/cgroup", "0::/a\n"}, {GROUP "/a/cpu.max", "-5 100000\n"}},
     .expected = 8},
    {.cpus = 8,
     .files = {{"/proc/self/cgroup", "0::/a\n"}, {GROUP "/a/cpu.max", "900000000000 1\n"}},
     .expected = 8},
    {.cpus = 8,
     .files = {{"/proc/self/cgroup", "4:cpu:/a\n"}, {GROUP "/cpu/a/cpu.cfs_quota_us", "100000\n"}},
     .expected = 8},
};
enum { MACHINES = sizeof machines / sizeof machines[0] };

START_TEST(the_cpus_are_those_that_the_machine_and_its_groups_allow)
{
    playing = &machines[_i];
    unsigned found = weir__usable_cpus();
    playing = NULL;
    ck_assert_uint_eq(found, machines[_i].expected);
    covered("machines played", 1);
}
END_TEST

START_TEST(without_memory_for_a_set_of_cpus_those_online_count)
{
    const struct machine machine = {.cpus = 3, .online = 4};
    no_set = true;
    playing = &machine;
    unsigned found = weir__usable_cpus();
    playing = NULL;
    no_set = false;
    ck_assert_uint_eq(found, 4);
}
END_TEST

START_TEST(a_machine_of_any_size_gets_no_more_workers_than_a_pool_can_have)
{
    enum { MOST = 1024 };
    const struct machine machine = {.cpus = 3000, .mask = 4096};
    bool slow = getenv("WEIR_TESTS_SLOW") != NULL; /* then one thread is too many already */
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = MOST + 1)), -EINVAL);
    playing = &machine;
    faults_begin(FAULT_THREAD, slow ? 1 : MOST + 1);
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.capacity = 1, .stack_size = 1 << 18));
    struct faults seen = faults_end();
    playing = NULL;
    ck_assert(err == 0 || err == -EAGAIN); /* the latter also if the system has no more threads */
    ck_assert_uint_le(seen.threads, MOST);
    ck_assert_uint_eq(weir_pool_workers(pool), err == 0 ? MOST : 0);
    covered("workers of a machine of 3000 CPUs", weir_pool_workers(pool));
    weir_pool_free(pool);
}
END_TEST

START_TEST(a_pool_without_memory_for_the_attributes_of_its_threads_is_not_made)
{
    weir_pool *pool = NULL;
    faults_begin(FAULT_ALLOC, 0);
    no_attributes = true;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2));
    no_attributes = false;
    struct faults seen = faults_end();
    ck_assert_int_eq(err, -ENOMEM);
    ck_assert_ptr_null(pool);
    ck_assert_uint_eq(seen.threads, 0);
    ck_assert_int_eq(seen.live, 0);
}
END_TEST

START_TEST(an_allocation_whose_size_would_wrap_is_refused)
{
    faults_begin(FAULT_ALLOC, 0);
    void *all = weir__alloc(SIZE_MAX / 2, 4), *last = weir__alloc(1, SIZE_MAX - CACHE_LINE + 1);
    struct faults seen = faults_end();
    ck_assert_ptr_null(all);
    ck_assert_ptr_null(last);
    ck_assert_uint_eq(seen.allocs, 0);
    ck_assert_uint_gt(weir__stack_minimum(), 0);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("faults_cpus");
    TCase *cpus = add_group(suite, "cpus");
    tcase_add_loop_test(cpus, the_cpus_are_those_that_the_machine_and_its_groups_allow, 0,
                        MACHINES);
    tcase_add_test(cpus, without_memory_for_a_set_of_cpus_those_online_count);
    tcase_add_test(cpus, a_machine_of_any_size_gets_no_more_workers_than_a_pool_can_have);
    TCase *refused = add_group(suite, "refused");
    tcase_add_test(refused, a_pool_without_memory_for_the_attributes_of_its_threads_is_not_made);
    tcase_add_test(refused, an_allocation_whose_size_would_wrap_is_refused);
    return suite;
}
