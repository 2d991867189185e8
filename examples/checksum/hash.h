/* SPDX-License-Identifier: MIT */
/* hash.h - SHA-256 of one file, by libcrypto. */
#ifndef CHECKSUM_HASH_H
#define CHECKSUM_HASH_H

#include <stdatomic.h>
#include <stdbool.h>

#include <weir.h>

#define DIGEST_SIZE 32

/* What one thread needs to hash one file after the other: made once, so that a file costs no
 * allocation and no look-up of the algorithm. */
struct hasher;

/* Returns 0, -ENOMEM, or -ENOSYS (libcrypto has no SHA-256 to offer). */
int hasher_new(struct hasher **ret);
void hasher_free(struct hasher *hasher);

#define HASH_STOPPED 1

/* Hashes what can be read from `path` until its end, whatever its size is said to be, and adds the
 * bytes to `bytes` as it goes. A symbolic link is followed only if `follow` is set.
 * Returns 0; HASH_STOPPED (`ctx` was done before the end); a negative errno. */
int hash_file(struct hasher *hasher, const char *path, bool follow, const weir_context *ctx,
              atomic_uint_fast64_t *bytes, unsigned char ret_digest[DIGEST_SIZE]);

#endif
