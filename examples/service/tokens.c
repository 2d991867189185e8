/* SPDX-License-Identifier: MIT */
/* tokens.c - who may write: a file with one token a line, any of which is right. */
#include "tokens.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"

enum { MAX_TOKENS = 64, MAX_TOKEN = 256, MIN_TOKEN = 16 };

struct tokens {
    size_t n;
    char token[MAX_TOKENS][MAX_TOKEN]; /* padded with NULs */
};

static int read_tokens(struct tokens *tokens, FILE *file)
{
    char text[MAX_TOKENS * (MAX_TOKEN + 2)], *rest = text, *line;
    int err = read_text(file, text, sizeof text);
    while (err == 0 && (line = strsep(&rest, "\n")) != NULL) {
        size_t n = strcspn(line, "\r");
        if (n == 0 || line[0] == '#')
            continue;
        if (n < MIN_TOKEN || n >= MAX_TOKEN || tokens->n == MAX_TOKENS)
            err = -EINVAL;
        else
            memcpy(tokens->token[tokens->n++], line, n);
    }
    explicit_bzero(text, sizeof text);
    return err != 0 ? err : tokens->n == 0 ? -EINVAL : 0;
}

/* The owner alone may read it; and of a file of root's the group, too: so a system hands a secret
 * to a service that does not run as root. */
static bool is_private(const struct stat *about)
{
    mode_t others = S_IRWXG | S_IRWXO;
    if (about->st_uid == 0 && geteuid() != 0)
        others &= ~(mode_t)S_IRGRP;
    return (about->st_mode & others) == 0;
}

int tokens_read(struct tokens **ret, const char *path)
{
    struct stat about;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return -errno;
    struct tokens *tokens = calloc(1, sizeof *tokens);
    int err = tokens == NULL ? -ENOMEM : fstat(fileno(file), &about) != 0 ? -errno : 0;
    if (err == 0 && !is_private(&about))
        err = -EPERM;
    if (err == 0)
        err = read_tokens(tokens, file);
    fclose(file);
    if (err != 0)
        tokens_free(tokens);
    else
        *ret = tokens;
    return err;
}

void tokens_free(struct tokens *tokens)
{
    if (tokens != NULL)
        explicit_bzero(tokens, sizeof *tokens);
    free(tokens);
}

/* Every byte of every token is compared, whatever the ones before were. */
bool tokens_has(const struct tokens *tokens, const char *token)
{
    char padded[MAX_TOKEN] = {0};
    unsigned found = 0;
    if (tokens == NULL || token == NULL || strlen(token) >= MAX_TOKEN)
        return false;
    memcpy(padded, token, strlen(token));
    for (size_t i = 0; i < tokens->n; i++) {
        unsigned differ = 0;
        for (size_t k = 0; k < MAX_TOKEN; k++)
            differ |= (unsigned char)tokens->token[i][k] ^ (unsigned char)padded[k];
        found |= differ == 0;
    }
    return found != 0;
}
