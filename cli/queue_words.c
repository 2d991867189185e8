/* SPDX-License-Identifier: MIT */
/* queue_words.c - finds the queue. No sentence here shows the URL: where it is misspelt, who knows
 * what in it is the password?
 */
#include "queue_words.h"

#include "complain.h"

#include <stdlib.h>
#include <string.h>

#define URL_VARIABLE "WEIR_QUEUE_URL"
#define PASSWORD_VARIABLE "WEIR_QUEUE_PASSWORD"

/* Also one that is misspelt; but no command, in which there may be a URL or an address, too. */
static bool is_url(const char *word)
{
    size_t scheme =
        strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
    return scheme > 0 && strncmp(word + scheme, ":/", 2) == 0;
}

/* The words of a process can be read by everybody on the machine: what is between the first colon
 * behind the scheme and the last @ is overwritten. */
static void hide_password(char *word)
{
    char *scheme = strstr(word, "://");
    char *begin = strchr(scheme == NULL ? word : scheme + 3, ':');
    char *end = strrchr(word, '@');
    if (begin != NULL && end != NULL && begin < end)
        memset(begin + 1, 'x', (size_t)(end - begin - 1));
}

/* The URL: the first word, or the variable's. Sets how many words it takes. Returns 0; -1. */
static int find_url(struct queue_words *ret, const struct settings *settings, int n_words,
                    char *const words[], int *ret_taken)
{
    const char *from_environment = getenv(URL_VARIABLE);
    bool given = from_environment != NULL && *from_environment != '\0';
    bool separator = n_words > 0 && strncmp(words[0], ":::", 3) == 0;
    *ret_taken = n_words > 0 && !separator && (!given || is_url(words[0]));
    if (*ret_taken == 0 && !given) {
        complain("weir %s needs the URL of a queue, such as redis://HOST/QUEUE, or %s",
                 settings_name(settings->subcommand), URL_VARIABLE);
        return -1;
    }
    ret->url = strdup(*ret_taken > 0 ? words[0] : from_environment);
    if (ret->url == NULL) {
        complain("no memory is left");
        return -1;
    }
    if (*ret_taken > 0)
        hide_password(words[0]);
    return 0;
}

int queue_words_read(struct queue_words *ret, struct settings *settings, int n_words,
                     char *const words[])
{
    *ret = (struct queue_words){NULL, words, 0};
    int taken = settings_read(settings, n_words, words);
    if (taken < 0)
        return EXIT_WEIR;
    if (settings->help)
        return 0;
    bool ended = taken > 0 && strcmp(words[taken - 1], "--") == 0;
    int of_url;
    if (find_url(ret, settings, n_words - taken, words + taken, &of_url) != 0)
        return EXIT_WEIR;
    taken += of_url;
    /* Options may follow the URL, unless a -- came before it. */
    int more = ended && of_url == 0 ? 0 : settings_read(settings, n_words - taken, words + taken);
    if (more < 0)
        return EXIT_WEIR;
    ret->rest = words + taken + more;
    ret->n_rest = n_words - taken - more;
    return settings->help || settings_check(settings) == 0 ? 0 : EXIT_WEIR;
}

void queue_words_free(struct queue_words *words)
{
    if (words->url != NULL)
        explicit_bzero(words->url, strlen(words->url));
    free(words->url);
    words->url = NULL;
}

int queue_words_open(weir_queue **ret, const struct queue_words *words,
                     const struct settings *settings)
{
    weir_queue_options options;
    weir_queue_options_init(&options);
    const char *password = getenv(PASSWORD_VARIABLE);
    options.password = password != NULL && *password != '\0' ? password : NULL;
    options.limit = (uint64_t)settings->limit;
    int err = weir_queue_open(ret, words->url, &options);
    return err != 0 ? queue_complain(NULL, err) : 0;
}

int queue_complain(const weir_queue *queue, int err)
{
    const char *text = weir_queue_error(queue);
    return complain("%s", *text != '\0' ? text : strerror(-err));
}
