/* SPDX-License-Identifier: MIT */
/* bytes.c - memory that grows. */
#include "bytes.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEPT ((size_t)256 * 1024)

static bool reserve(struct buffer *buffer, size_t size)
{
    if (buffer->failed || buffer->room - buffer->size >= size)
        return !buffer->failed;
    size_t room = buffer->room < 64 ? 64 : buffer->room;
    while (room - buffer->size < size && room < (size_t)1 << 62)
        room *= 2;
    char *data = realloc(buffer->data, room);
    if (data == NULL) {
        buffer->failed = true;
        return false;
    }
    buffer->data = data;
    buffer->room = room;
    return true;
}

void buffer_append(struct buffer *buffer, const char *data, size_t size)
{
    if (size == 0 || !reserve(buffer, size))
        return;
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

void buffer_append_text(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

void buffer_append_number(struct buffer *buffer, unsigned long long number)
{
    buffer_printf(buffer, "%llu", number);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0 || !reserve(buffer, (size_t)size + 1))
        return;
    va_start(args, format);
    vsnprintf(buffer->data + buffer->size, (size_t)size + 1, format, args);
    va_end(args);
    buffer->size += (size_t)size;
}

void buffer_keep_tail(struct buffer *buffer, const char *data, size_t size, size_t most)
{
    if (size > most) {
        data += size - most;
        size = most;
    }
    size_t kept = buffer->size + size > most ? most - size : buffer->size;
    if (kept < buffer->size) {
        memmove(buffer->data, buffer->data + buffer->size - kept, kept);
        buffer->size = kept;
    }
    buffer_append(buffer, data, size);
}

void buffer_clear(struct buffer *buffer)
{
    if (buffer->room > KEPT)
        buffer_free(buffer);
    buffer->size = 0;
    buffer->failed = false;
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){NULL, 0, 0, false};
}

int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t done = write(fd, data, size);
        if (done < 0 && errno == EAGAIN) {
            /* Whoever gave us the descriptor made it so; it is not ours to change. */
            struct pollfd room = {.fd = fd, .events = POLLOUT};
            poll(&room, 1, -1);
        } else if (done < 0 && errno != EINTR) {
            return -errno;
        } else if (done > 0) {
            data += done;
            size -= (size_t)done;
        }
    }
    return 0;
}
