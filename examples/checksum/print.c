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

void print_digest(FILE *out, const unsigned char digest[], size_t size, const char *name)
{
    if (strpbrk(name, special) != NULL)
        putc('\\', out);
    for (size_t i = 0; i < size; i++) {
        putc("0123456789abcdef"[digest[i] >> 4], out);
        putc("0123456789abcdef"[digest[i] & 15], out);
    }
    fputs("  ", out);
    print_name(out, name);
    putc('\n', out);
}
