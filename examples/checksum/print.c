/* SPDX-License-Identifier: MIT */
/* print.c - how digests and names are written: as sha256sum writes them. */
#include "print.h"

#include <string.h>

static const char special[] = "\n\r\\";

void print_name(FILE *out, const char *name)
{
    for (;;) {
        size_t plain = strcspn(name, special);
        fwrite(name, 1, plain, out);
        name += plain;
        if (*name == '\0')
            return;
        fputs(*name == '\n' ? "\\n" : *name == '\r' ? "\\r" : "\\\\", out);
        name++;
    }
}

void print_digest(FILE *out, const unsigned char digest[DIGEST_SIZE], const char *name)
{
    if (strpbrk(name, special) != NULL)
        putc('\\', out);
    char text[2 * DIGEST_SIZE + 2];
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        text[2 * i] = "0123456789abcdef"[digest[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
    }
    memset(text + 2 * DIGEST_SIZE, ' ', 2);
    fwrite(text, 1, sizeof(text), out);
    print_name(out, name);
    putc('\n', out);
}
