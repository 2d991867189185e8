/* SPDX-License-Identifier: MIT */
#include "arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BASE ((uintptr_t)0x4000000000)

enum {
    PAGE = 4096,
    LINE = 64,
    MAX_OBJECT_BYTES = 1 << 20,
    THREADS_END = MAX_THREADS * PAGE,
    STACKS_END = THREADS_END + MAX_THREADS * STACK_SIZE,
    SIZE = STACKS_END + MAX_OBJECT_BYTES,
    LINES = MAX_OBJECT_BYTES / LINE,
};

enum { FRESH = 0xA5, DEAD = 0xDD };

static char *const arena = (char *)BASE;
static uint8_t state_of_line[LINES]; /* enum place */
static uint32_t lines_of_object[LINES];
static size_t used; /* lines */
static unsigned live;

void arena_init(void)
{
    void *got = mmap(arena, SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (got != (void *)arena) {
        perror("explorer: mmap");
        exit(EXIT_FAILURE);
    }
    memset(state_of_line, PLACE_UNUSED, sizeof state_of_line);
}

void arena_reset(void)
{
    memset(state_of_line, PLACE_UNUSED, used);
    used = 0;
    live = 0;
}

void *arena_thread_page(unsigned thread)
{
    return arena + (size_t)thread * PAGE;
}

char *arena_stack(unsigned thread)
{
    return arena + THREADS_END + (size_t)thread * STACK_SIZE;
}

void *arena_alloc(size_t size)
{
    size_t lines = size / LINE + 1; /* a line more than needed at times: a gap that nobody owns */
    if (lines > LINES - used)
        return NULL;
    size_t first = used;
    used += lines;
    live++;
    memset(state_of_line + first, PLACE_LIVE, lines);
    lines_of_object[first] = (uint32_t)lines;
    return memset(arena + STACKS_END + first * LINE, FRESH, lines * LINE);
}

void arena_free(void *memory)
{
    size_t first = (size_t)((char *)memory - arena - STACKS_END) / LINE;
    size_t lines = lines_of_object[first];
    memset(state_of_line + first, PLACE_FREED, lines);
    memset(memory, DEAD, lines * LINE);
    live--;
}

size_t arena_object_size(const void *memory)
{
    size_t first = (size_t)((const char *)memory - arena - STACKS_END) / LINE;
    return (size_t)lines_of_object[first] * LINE;
}

unsigned arena_live_objects(void)
{
    return live;
}

enum place arena_place(const void *address, unsigned *ret_thread)
{
    uintptr_t offset = (uintptr_t)address - BASE;
    if (offset >= SIZE)
        return PLACE_UNKNOWN;
    if (offset >= STACKS_END)
        return (enum place)state_of_line[(offset - STACKS_END) / LINE];
    if (offset >= THREADS_END) {
        *ret_thread = (unsigned)((offset - THREADS_END) / STACK_SIZE);
        return PLACE_STACK;
    }
    *ret_thread = (unsigned)(offset / PAGE);
    return PLACE_THREAD;
}

bool arena_offset(const void *address, size_t *ret_offset)
{
    *ret_offset = (uintptr_t)address - BASE;
    return *ret_offset < SIZE;
}

size_t arena_size(void)
{
    return SIZE;
}
