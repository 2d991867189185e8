/* SPDX-License-Identifier: MIT */
/* input.c - several sources make one row of records.
 *
 * Every combination: the last source is the fastest; when it has ended it is started again, and the
 * one before it moves on. Side by side (--link): all move on together, one that has ended is
 * started again, and the longest decides when the end is.
 */
#include "input.h"

#include "complain.h"
#include "source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct input {
    const struct settings *settings;
    struct source **sources;
    struct bytes *current; /* one for each source */
    bool *ended;           /* --link: this source has come to its end at least once */
    size_t n;
    bool begun, over;
    struct names names;
    struct columns columns;
    int64_t total; /* so many combinations; -1: not known */
    int64_t given;
};

bool input_is_separator(const char *word)
{
    return strcmp(word, ":::") == 0 || strcmp(word, "::::") == 0;
}

static int add(struct input *input, struct source *source)
{
    size_t size = (input->n + 1) * sizeof(struct source *);
    struct source **sources = realloc(input->sources, size);
    if (sources == NULL) {
        source_free(source);
        complain("no memory is left");
        return -ENOMEM;
    }
    input->sources = sources;
    input->sources[input->n++] = source;
    return 0;
}

static int add_file(struct input *input, const char *path, bool again, int stop_fd)
{
    struct source *source;
    int err = source_of_file(&source, path, input->settings->delimiter, again, stop_fd);
    return err != 0 ? err : add(input, source);
}

/* ::: VALUE... and :::: FILE... */
static int add_words(struct input *input, char *const words[], int n, int stop_fd)
{
    int err = 0;
    for (int i = 0; i < n && err == 0;) {
        bool files = strcmp(words[i], "::::") == 0;
        int begin = ++i;
        while (i < n && !input_is_separator(words[i]))
            i++;
        if (!files) {
            struct source *source;
            err = source_of_words(&source, words + begin, (size_t)(i - begin));
            err = err != 0 ? err : add(input, source);
        }
        if (files && begin == i) {
            complain(":::: needs the name of a file");
            return -EINVAL;
        }
        /* The first source of all is read once, unless it stands beside others. */
        for (int j = begin; files && j < i && err == 0; j++)
            err = add_file(input, words[j], input->n > 0 || input->settings->link, stop_fd);
    }
    return err;
}

static int add_sources(struct input *input, char *const words[], int n, int stop_fd)
{
    const struct settings *settings = input->settings;
    int err = 0;
    for (int64_t i = 0; i < settings->n_files && err == 0; i++)
        err = add_file(input, settings->files[i], i > 0 || settings->link, stop_fd);
    if (err == 0)
        err = add_words(input, words, n, stop_fd);
    if (err == 0 && input->n == 0)
        err = add_file(input, "-", settings->link, stop_fd);
    return err;
}

static int no_memory(void)
{
    complain("no memory is left");
    return -ENOMEM;
}

static int split_all(struct input *input)
{
    columns_clear(&input->columns);
    for (size_t i = 0; i < input->n; i++)
        if (columns_split(&input->columns, input->current[i], input->settings->colsep) != 0)
            return no_memory();
    return 0;
}

/* The first record of each source names its columns. */
static int read_header(struct input *input)
{
    for (size_t i = 0; i < input->n; i++) {
        int got = source_next(input->sources[i], &input->current[i]);
        if (got < 0)
            return got;
        if (got == 0) {
            input->over = true;
            return 0;
        }
    }
    int err = split_all(input);
    return err != 0 ? err : names_of(&input->names, &input->columns) != 0 ? no_memory() : 0;
}

int input_open(struct input **ret, const struct settings *settings, char *const words[], int n,
               int stop_fd)
{
    struct input *input = calloc(1, sizeof(*input));
    if (input == NULL)
        return no_memory();
    input->settings = settings;
    input->total = -1;
    int err = add_sources(input, words, n, stop_fd);
    if (err == 0) {
        input->current = calloc(input->n, sizeof(*input->current));
        input->ended = calloc(input->n, sizeof(*input->ended));
        if (input->current == NULL || input->ended == NULL)
            err = no_memory();
    }
    if (err == 0 && settings->pipe && input->n > 1) {
        complain("--pipe reads one source, but was given %zu", input->n);
        err = -EINVAL;
    }
    if (err == 0 && settings->header)
        err = read_header(input);
    if (err != 0) {
        input_free(input);
        return err;
    }
    *ret = input;
    return 0;
}

void input_free(struct input *input)
{
    if (input == NULL)
        return;
    for (size_t i = 0; i < input->n; i++)
        source_free(input->sources[i]);
    names_free(&input->names);
    columns_free(&input->columns);
    free(input->sources);
    free(input->current);
    free(input->ended);
    free(input);
}

const struct names *input_names(const struct input *input)
{
    return &input->names;
}

/* Starts a source again, behind its header. Returns as source_next. */
static int again(struct input *input, size_t i)
{
    int got = source_restart(input->sources[i]);
    if (got < 0)
        return got;
    if (input->settings->header)
        got = source_next(input->sources[i], &input->current[i]);
    return got < 0 ? got : source_next(input->sources[i], &input->current[i]);
}

static int first_of_all(struct input *input)
{
    size_t empty = 0;
    for (size_t i = 0; i < input->n; i++) {
        int got = source_next(input->sources[i], &input->current[i]);
        if (got < 0)
            return got;
        if (got == 0) {
            input->ended[i] = true;
            input->current[i] = (struct bytes){"", 0};
            empty++;
        }
    }
    return input->settings->link ? empty < input->n : empty == 0;
}

static int next_combination(struct input *input)
{
    for (size_t i = input->n; i-- > 0;) {
        int got = source_next(input->sources[i], &input->current[i]);
        if (got != 0 || i == 0)
            return got;
        got = again(input, i);
        if (got != 1)
            return got;
    }
    return 0;
}

static int next_side_by_side(struct input *input)
{
    size_t left = 0;
    for (size_t i = 0; i < input->n; i++) {
        int got = source_next(input->sources[i], &input->current[i]);
        if (got < 0)
            return got;
        left += got == 1 && !input->ended[i];
        if (got == 1)
            continue;
        input->ended[i] = true;
        if (input->n == 1)
            return 0;
        got = again(input, i);
        if (got < 0)
            return got;
        if (got == 0)
            input->current[i] = (struct bytes){"", 0};
    }
    return left > 0;
}

int input_next(struct input *input, const struct bytes **ret_columns, size_t *ret_n)
{
    if (input->over)
        return 0;
    int got;
    if (!input->begun)
        got = first_of_all(input);
    else if (input->settings->link)
        got = next_side_by_side(input);
    else
        got = next_combination(input);
    input->begun = true;
    input->over = got == 0;
    if (got != 1)
        return got;
    int err = split_all(input);
    if (err != 0)
        return err;
    input->given++;
    *ret_columns = input->columns.all;
    *ret_n = input->columns.n;
    return 1;
}

bool input_is_at_hand(const struct input *input)
{
    for (size_t i = 0; i < input->n; i++)
        if (!source_is_at_hand(input->sources[i]))
            return false;
    return true;
}

int input_next_block(struct input *input, size_t size, struct bytes *ret)
{
    return source_next_block(input->sources[0], size, ret);
}

int64_t input_count(struct input *input)
{
    int64_t total = input->settings->link ? 0 : 1;
    for (size_t i = 0; i < input->n; i++) {
        int64_t count = source_count(input->sources[i]);
        if (count < 0 || input->settings->pipe)
            return -1;
        if (input->settings->header) {
            struct bytes header;
            int got = source_next(input->sources[i], &header);
            count -= got == 1;
        }
        if (input->settings->link)
            total = count > total ? count : total;
        else if (__builtin_mul_overflow(total, count, &total))
            return -1;
    }
    input->total = input->over ? 0 : total;
    return input->total;
}

int64_t input_count_rest(struct input *input, bool *ret_all)
{
    *ret_all = true;
    if (input->over)
        return 0;
    if (input->total >= 0)
        return input->total - input->given;
    if (input->n == 1)
        return source_count_rest(input->sources[0], ret_all);
    int64_t count = 0;
    const struct bytes *columns;
    size_t n;
    int got;
    while ((got = input_next(input, &columns, &n)) == 1)
        count++;
    *ret_all = got == 0;
    return count;
}
