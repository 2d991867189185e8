/* SPDX-License-Identifier: MIT */
/* plain.c - what the compiler calls at every plain memory access.
 *
 * The library and the scenarios are compiled with -fsanitize=thread, but not linked with its
 * runtime: these functions take its place and show the accesses to the model.
 */
#include <stddef.h>
#include <string.h>

#include "model.h"

#define CALLER __builtin_return_address(0)

#define ACCESS(name, size, writes)                                                                 \
    void __tsan_##name(const void *address);                                                       \
    void __tsan_##name(const void *address)                                                        \
    {                                                                                              \
        model_plain(address, size, writes, CALLER);                                                \
    }

ACCESS(read1, 1, false)
ACCESS(read2, 2, false)
ACCESS(read4, 4, false)
ACCESS(read8, 8, false)
ACCESS(read16, 16, false)
ACCESS(write1, 1, true)
ACCESS(write2, 2, true)
ACCESS(write4, 4, true)
ACCESS(write8, 8, true)
ACCESS(write16, 16, true)
ACCESS(unaligned_read2, 2, false)
ACCESS(unaligned_read4, 4, false)
ACCESS(unaligned_read8, 8, false)
ACCESS(unaligned_read16, 16, false)
ACCESS(unaligned_write2, 2, true)
ACCESS(unaligned_write4, 4, true)
ACCESS(unaligned_write8, 8, true)
ACCESS(unaligned_write16, 16, true)

void __tsan_read_range(const void *address, size_t size);
void __tsan_read_range(const void *address, size_t size)
{
    model_plain(address, size, false, CALLER);
}

void __tsan_write_range(const void *address, size_t size);
void __tsan_write_range(const void *address, size_t size)
{
    model_plain(address, size, true, CALLER);
}

void *__tsan_memset(void *to, int value, size_t size);
void *__tsan_memset(void *to, int value, size_t size)
{
    model_plain(to, size, true, CALLER);
    return memset(to, value, size);
}

void *__tsan_memcpy(void *to, const void *from, size_t size);
void *__tsan_memcpy(void *to, const void *from, size_t size)
{
    model_plain(from, size, false, CALLER);
    model_plain(to, size, true, CALLER);
    return memcpy(to, from, size);
}

void __tsan_init(void);
void __tsan_init(void)
{
}

void __tsan_func_entry(const void *address);
void __tsan_func_entry(const void *address)
{
    (void)address;
}

void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}
