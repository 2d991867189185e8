/* SPDX-License-Identifier: MIT */
/* capture.c - keeps what a job writes. */
#include "capture.h"

#include "temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

#define MEMORY_SIZE ((size_t)64 * 1024)
#define WIDE_PIPE (1024 * 1024)
#define COPY_SIZE ((size_t)128 * 1024)

void capture_use_file(struct capture *capture, int file)
{
    capture->has_file = true;
    capture->file = file;
}

/* From memory into a file. */
static int spill(struct capture *capture)
{
    int file = temporary_file();
    if (file < 0)
        return file;
    int err = write_all(file, capture->memory.data, capture->memory.size);
    if (err != 0) {
        close(file);
        return err;
    }
    capture_use_file(capture, file);
    capture->file_size = capture->memory.size;
    buffer_clear(&capture->memory);
    return 0;
}

static int64_t splice_to_file(struct capture *capture, int pipe, size_t most)
{
    if (!capture->wide) {
        /* Fewer and larger steps. It may fail where pipes are rationed; then it is small steps. */
        (void)fcntl(pipe, F_SETPIPE_SZ, WIDE_PIPE);
        capture->wide = true;
    }
    ssize_t size = splice(pipe, NULL, capture->file, NULL, most, SPLICE_F_MOVE);
    if (size < 0 && errno == EINVAL) {
        /* A file system that cannot do it. */
        char data[4096];
        size = read(pipe, data, most < sizeof(data) ? most : sizeof(data));
        int err = size > 0 ? write_all(capture->file, data, (size_t)size) : 0;
        if (err != 0)
            return err;
    }
    if (size < 0)
        return -errno;
    capture->file_size += (uint64_t)size;
    return size;
}

int64_t capture_from_pipe(struct capture *capture, int pipe, size_t most)
{
    char data[MEMORY_SIZE];
    if (capture->has_file)
        return splice_to_file(capture, pipe, most);
    ssize_t size = read(pipe, data, most < sizeof(data) ? most : sizeof(data));
    if (size <= 0)
        return size < 0 ? -errno : 0;
    int err = capture_append(capture, data, (size_t)size);
    return err != 0 ? err : size;
}

int capture_append(struct capture *capture, const char *data, size_t size)
{
    if (!capture->has_file && capture->memory.size + size > MEMORY_SIZE) {
        int err = spill(capture);
        if (err != 0)
            return err;
    }
    if (capture->has_file) {
        capture->file_size += size;
        return write_all(capture->file, data, size);
    }
    buffer_append(&capture->memory, data, size);
    return capture->memory.failed ? -ENOMEM : 0;
}

uint64_t capture_size(const struct capture *capture)
{
    return capture->memory.size + capture->file_size;
}

size_t capture_tail(const struct capture *capture, char *ret, size_t size)
{
    uint64_t all = capture_size(capture);
    if (size > all)
        size = (size_t)all;
    if (!capture->has_file) {
        if (size > 0)
            memcpy(ret, capture->memory.data + capture->memory.size - size, size);
        return size;
    }
    ssize_t got = pread(capture->file, ret, size, (off_t)(capture->begin + all - size));
    return got < 0 ? 0 : (size_t)got;
}

/* Through memory, from `offset` up to `end`. */
static int copy_file(int file, off_t offset, off_t end, int fd)
{
    char data[COPY_SIZE];
    while (offset < end) {
        size_t left = (size_t)(end - offset);
        ssize_t size = pread(file, data, left < sizeof(data) ? left : sizeof(data), offset);
        if (size <= 0)
            return size < 0 ? -errno : 0;
        int err = write_all(fd, data, (size_t)size);
        if (err != 0)
            return err;
        offset += size;
    }
    return 0;
}

int capture_write(struct capture *capture, int fd)
{
    if (!capture->has_file)
        return write_all(fd, capture->memory.data, capture->memory.size);
    off_t offset = (off_t)capture->begin;
    off_t end = offset + (off_t)capture->file_size;
    while (offset < end) {
        ssize_t size = sendfile(fd, capture->file, &offset, (size_t)(end - offset));
        if (size < 0 && errno == EINTR)
            continue;
        /* A file that is appended to, or a descriptor that does not wait. */
        if (size < 0 && (errno == EINVAL || errno == ENOSYS || errno == EAGAIN))
            return copy_file(capture->file, offset, end, fd);
        if (size < 0)
            return -errno;
        if (size == 0)
            break;
    }
    return 0;
}

/* Adds a part of a text to `out`, the prefix before each line; `*in_line` is carried along. */
static int put_lines(struct buffer *out, int fd, struct bytes text, struct bytes prefix,
                     bool *in_line)
{
    while (text.size > 0) {
        const char *end = memchr(text.data, '\n', text.size);
        size_t size = end == NULL ? text.size : (size_t)(end + 1 - text.data);
        if (!*in_line)
            buffer_append(out, prefix.data, prefix.size);
        buffer_append(out, text.data, size);
        *in_line = end == NULL;
        text = (struct bytes){text.data + size, text.size - size};
        if (out->size < COPY_SIZE)
            continue;
        int err = out->failed ? -ENOMEM : write_all(fd, out->data, out->size);
        if (err != 0)
            return err;
        out->size = 0;
    }
    return 0;
}

int capture_write_lines(struct capture *capture, int fd, struct bytes prefix)
{
    struct buffer out = {0};
    bool in_line = false;
    struct bytes text = {capture->memory.data, capture->memory.size};
    int err = put_lines(&out, fd, text, prefix, &in_line);
    char data[MEMORY_SIZE];
    off_t offset = (off_t)capture->begin;
    off_t end = offset + (off_t)capture->file_size;
    while (err == 0 && offset < end) {
        size_t left = (size_t)(end - offset);
        ssize_t size =
            pread(capture->file, data, left < sizeof(data) ? left : sizeof(data), offset);
        if (size <= 0) {
            err = size < 0 ? -errno : 0;
            break;
        }
        err = put_lines(&out, fd, (struct bytes){data, (size_t)size}, prefix, &in_line);
        offset += size;
    }
    if (err == 0)
        err = out.failed ? -ENOMEM : write_all(fd, out.data, out.size);
    buffer_free(&out);
    return err;
}

int capture_share(struct capture *capture, int file, uint64_t *end)
{
    if (!capture->has_file || capture->shared)
        return 0;
    if (lseek(file, (off_t)*end, SEEK_SET) < 0)
        return -errno;
    int err = capture_write(capture, file);
    if (err != 0)
        return err;
    close(capture->file);
    capture->file = file;
    capture->begin = *end;
    capture->shared = true;
    *end += capture->file_size;
    return 0;
}

/* Of a shared file the part is given back, as far as the file system can do that. */
static void leave_file(struct capture *capture)
{
    if (!capture->shared)
        close(capture->file);
    else if (capture->file_size > 0)
        (void)fallocate(capture->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                        (off_t)capture->begin, (off_t)capture->file_size);
}

void capture_clear(struct capture *capture)
{
    if (capture->has_file)
        leave_file(capture);
    capture->has_file = capture->shared = capture->wide = capture->in_line = false;
    capture->file_size = capture->begin = 0;
    buffer_clear(&capture->memory);
}

void capture_free(struct capture *capture)
{
    capture_clear(capture);
    buffer_free(&capture->memory);
}
