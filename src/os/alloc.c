/* SPDX-License-Identifier: MIT */
#include "os/alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"

static size_t whole_lines(size_t bytes)
{
    return (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

void *weir__alloc_untouched(size_t count, size_t size)
{
    if (size != 0 && count > (SIZE_MAX - CACHE_LINE) / size)
        return NULL;
    return aligned_alloc(CACHE_LINE, whole_lines(count * size));
}

void *weir__alloc(size_t count, size_t size)
{
    void *memory = weir__alloc_untouched(count, size);
    if (memory != NULL)
        memset(memory, 0, whole_lines(count * size));
    return memory;
}

void *weir__alloc_unaligned(size_t size)
{
    return calloc(1, size);
}

void *weir__alloc_unaligned_untouched(size_t size)
{
    return malloc(size);
}

void weir__free(void *memory)
{
    free(memory);
}
