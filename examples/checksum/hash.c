/* SPDX-License-Identifier: MIT */
/* hash.c - SHA-256 of one file, by libcrypto. */
#include "hash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "readable.h"

#define BLOCK_SIZE (128 * 1024)

struct hasher {
    EVP_MD *algorithm;
    EVP_MD_CTX *state;
    unsigned char block[BLOCK_SIZE];
};

int hasher_new(struct hasher **ret)
{
    struct hasher *hasher = malloc(sizeof(*hasher));
    if (hasher == NULL)
        return -ENOMEM;
    hasher->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    hasher->state = EVP_MD_CTX_new();
    if (hasher->algorithm == NULL || hasher->state == NULL) {
        int err = hasher->algorithm == NULL ? -ENOSYS : -ENOMEM;
        hasher_free(hasher);
        return err;
    }
    *ret = hasher;
    return 0;
}

void hasher_free(struct hasher *hasher)
{
    if (hasher == NULL)
        return;
    EVP_MD_CTX_free(hasher->state);
    EVP_MD_free(hasher->algorithm);
    free(hasher);
}

/* `may_block`: the file is a pipe, a terminal or the like, which has nothing to read for as long as
 * it pleases. It was opened with O_NONBLOCK, so that it takes a poll to wait for it. */
static int hash_fd(struct hasher *hasher, int fd, bool may_block, const weir_context *ctx,
                   atomic_uint_fast64_t *bytes)
{
    for (;;) {
        if (weir_context_err(ctx) != 0 || (may_block && readable_wait(fd, -1, ctx) != 0))
            return HASH_STOPPED;
        ssize_t n = read(fd, hasher->block, sizeof(hasher->block));
        if (n == 0)
            return 0;
        if (n > 0) {
            if (EVP_DigestUpdate(hasher->state, hasher->block, (size_t)n) != 1)
                return -EIO;
            /* Only ever shown: no other memory depends on it. */
            atomic_fetch_add_explicit(bytes, (uint_fast64_t)n, memory_order_relaxed);
        } else if (errno == EAGAIN) {
            may_block = true;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
}

int hash_file(struct hasher *hasher, const char *path, bool follow, const weir_context *ctx,
              atomic_uint_fast64_t *bytes, unsigned char ret_digest[DIGEST_SIZE])
{
    /* O_NONBLOCK: opening a pipe that nobody writes to must not take the thread away for ever. */
    int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW);
    int fd;
    do {
        fd = open(path, flags);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    struct stat st;
    int err = fstat(fd, &st) == 0 ? 0 : -errno;
    if (err == 0 && EVP_DigestInit_ex(hasher->state, hasher->algorithm, NULL) != 1)
        err = -EIO;
    if (err == 0)
        err = hash_fd(hasher, fd, !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode), ctx, bytes);
    if (err == 0 && EVP_DigestFinal_ex(hasher->state, ret_digest, NULL) != 1)
        err = -EIO;
    close(fd);
    return err;
}
