/* SPDX-License-Identifier: MIT */
/* arena.h - the memory that an explored run uses: threads, stacks and objects at fixed addresses.
 *
 * Addresses are the same in every run, because the library hashes them. Memory that was freed is
 * not used again within a run, so that any later access to it is seen.
 */
#ifndef WEIR_TESTS_EXPLORER_ARENA_H
#define WEIR_TESTS_EXPLORER_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MAX_THREADS = 8, STACK_SIZE = 64 * 1024 };

/* Threads' data, then stacks, then objects. */
#define ARENA_BASE ((uintptr_t)0x4000000000)

enum {
    ARENA_PAGE = 4096,
    ARENA_LINE = 64,
    MAX_OBJECT_BYTES = 1 << 20,
    ARENA_LINES = MAX_OBJECT_BYTES / ARENA_LINE,
    ARENA_THREADS_END = MAX_THREADS * ARENA_PAGE,
    ARENA_STACKS_END = ARENA_THREADS_END + MAX_THREADS * STACK_SIZE,
    ARENA_SIZE = ARENA_STACKS_END + MAX_OBJECT_BYTES,
};

void arena_init(void);
/* Forgets all objects. */
void arena_reset(void);

/* Where a thread's own data are (one page), and its stack. */
static inline void *arena_thread_page(unsigned thread)
{
    return (char *)ARENA_BASE + (size_t)thread * ARENA_PAGE;
}

static inline char *arena_stack(unsigned thread)
{
    return (char *)ARENA_BASE + ARENA_THREADS_END + (size_t)thread * STACK_SIZE;
}

void *arena_alloc(size_t size);
void arena_free(void *memory);
/* As it was asked for, and up to a line more. */
size_t arena_object_size(const void *memory);
unsigned arena_live_objects(void);

enum place { PLACE_UNKNOWN, PLACE_LIVE, PLACE_FREED, PLACE_UNUSED, PLACE_THREAD, PLACE_STACK };

extern uint8_t arena_places[ARENA_LINES]; /* of the lines of objects: enum place */

/* What is at an address; for a stack or a thread's data also whose. */
static inline enum place arena_place(const void *address, unsigned *ret_thread)
{
    uintptr_t offset = (uintptr_t)address - ARENA_BASE;
    if (offset >= ARENA_SIZE)
        return PLACE_UNKNOWN;
    if (offset >= ARENA_STACKS_END)
        return (enum place)arena_places[(offset - ARENA_STACKS_END) / ARENA_LINE];
    if (offset >= ARENA_THREADS_END) {
        *ret_thread = (unsigned)((offset - ARENA_THREADS_END) / STACK_SIZE);
        return PLACE_STACK;
    }
    *ret_thread = (unsigned)(offset / ARENA_PAGE);
    return PLACE_THREAD;
}

/* Position of an address in memory that runs use, to index data about it; false: not in there. */
static inline bool arena_offset(const void *address, size_t *ret_offset)
{
    *ret_offset = (uintptr_t)address - ARENA_BASE;
    return *ret_offset < ARENA_SIZE;
}

#endif
