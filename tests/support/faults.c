/* SPDX-License-Identifier: MIT */
/* faults.c - the calls that the linker puts in the place of the C library's. */
#include "support/faults.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static atomic_bool counting;
static atomic_uint calls[2], failing[2]; /* by kind; failing: which one, or 0 */
static atomic_uint more_failing;         /* calls after that one */
static atomic_uint joins;
static atomic_int live;

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__real_calloc(size_t count, size_t size);
void __real_free(void *memory);
void *__real_malloc(size_t size);
int __real_posix_memalign(void **ret_memory, size_t alignment, size_t size);
int __real_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes,
                          void *(*run)(void *), void *arg);
int __real_pthread_join(pthread_t thread, void **ret_value);
void *__real_realloc(void *memory, size_t size);

void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void __wrap_free(void *memory);
void *__wrap_malloc(size_t size);
int __wrap_posix_memalign(void **ret_memory, size_t alignment, size_t size);
int __wrap_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes,
                          void *(*run)(void *), void *arg);
int __wrap_pthread_join(pthread_t thread, void **ret_value);
void *__wrap_realloc(void *memory, size_t size);

void faults_begin(enum fault kind, unsigned nth)
{
    faults_begin_many(kind, nth, 0);
}

void faults_begin_many(enum fault kind, unsigned nth, unsigned more)
{
    for (int i = 0; i < 2; i++) {
        atomic_store(&calls[i], 0);
        atomic_store(&failing[i], 0);
    }
    atomic_store(&live, 0);
    atomic_store(&joins, 0);
    atomic_store(&failing[kind], nth);
    atomic_store(&more_failing, more);
    atomic_store(&counting, true);
}

struct faults faults_end(void)
{
    atomic_store(&counting, false);
    return (struct faults){
        .allocs = atomic_load(&calls[FAULT_ALLOC]),
        .threads = atomic_load(&calls[FAULT_THREAD]),
        .joins = atomic_load(&joins),
        .live = atomic_load(&live),
    };
}

static bool shall_fail(enum fault kind)
{
    if (!atomic_load(&counting))
        return false;
    unsigned call = atomic_fetch_add(&calls[kind], 1) + 1, first = atomic_load(&failing[kind]);
    return first != 0 && call >= first && call - first <= atomic_load(&more_failing);
}

static void *born(void *memory)
{
    if (memory != NULL && atomic_load(&counting))
        (void)atomic_fetch_add(&live, 1);
    return memory;
}

static void *no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

void *__wrap_malloc(size_t size)
{
    return shall_fail(FAULT_ALLOC) ? no_memory() : born(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return shall_fail(FAULT_ALLOC) ? no_memory() : born(__real_calloc(count, size));
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return shall_fail(FAULT_ALLOC) ? no_memory() : born(__real_aligned_alloc(alignment, size));
}

int __wrap_posix_memalign(void **ret_memory, size_t alignment, size_t size)
{
    if (shall_fail(FAULT_ALLOC))
        return ENOMEM;
    int err = __real_posix_memalign(ret_memory, alignment, size);
    if (err == 0)
        (void)born(*ret_memory);
    return err;
}

void *__wrap_realloc(void *memory, size_t size)
{
    if (shall_fail(FAULT_ALLOC))
        return no_memory();
    bool first = memory == NULL;
    void *moved = __real_realloc(memory, size);
    return first ? born(moved) : moved;
}

void __wrap_free(void *memory)
{
    if (memory != NULL && atomic_load(&counting))
        (void)atomic_fetch_sub(&live, 1);
    __real_free(memory);
}

int __wrap_pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes,
                          void *(*run)(void *), void *arg)
{
    if (shall_fail(FAULT_THREAD)) {
        memset(ret_thread, 0xa5, sizeof *ret_thread);
        return EAGAIN;
    }
    return __real_pthread_create(ret_thread, attributes, run, arg);
}

int __wrap_pthread_join(pthread_t thread, void **ret_value)
{
    if (atomic_load(&counting))
        (void)atomic_fetch_add(&joins, 1);
    return __real_pthread_join(thread, ret_value);
}
