/* SPDX-License-Identifier: MIT */
/* hash.c - two lanes of multiply and rotate over eight bytes at a time, mixed at the end. Not for
 * texts that somebody makes to collide: whoever writes the commands harms nobody else.
 */
#include "hash.h"

#include <string.h>

#define K1 UINT64_C(0x9e3779b97f4a7c15)
#define K2 UINT64_C(0xc2b2ae3d27d4eb4f)

static uint64_t rotate(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

static void step(struct hash *hash, uint64_t word)
{
    hash->a = rotate(hash->a ^ mix(word + K1), 29) * K1 + hash->b;
    hash->b = rotate(hash->b ^ mix(word ^ K2), 31) * K2 + hash->a;
}

struct hash hash_of(struct bytes text)
{
    struct hash hash = {K1 ^ text.size, K2 + text.size};
    while (text.size >= sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, text.data, sizeof(word));
        step(&hash, word);
        text = (struct bytes){text.data + sizeof(word), text.size - sizeof(word)};
    }
    uint64_t word = 0;
    if (text.size > 0)
        memcpy(&word, text.data, text.size);
    step(&hash, word);
    hash.a = mix(hash.a ^ hash.b);
    hash.b = mix(hash.b + hash.a);
    return hash;
}
