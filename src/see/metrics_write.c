/* SPDX-License-Identifier: MIT */
/* metrics_write.c - the text: family by family, and in each one entry after the other.
 *
 * An object is read first and written then: while the program's callback has the text, nothing but
 * the entry's memory is kept.
 */
#include "see/metrics.h"

#include <errno.h>
#include <string.h>

#include "see/families.h"
#include "see/text.h"

static void put_header(struct text *text, const char *name, const char *help, enum type type)
{
    weir__text_put(text, "# HELP ");
    weir__text_put(text, name);
    weir__text_put(text, " ");
    weir__text_put(text, help);
    weir__text_put(text, "\n# TYPE ");
    weir__text_put(text, name);
    weir__text_put(text, type == TYPE_COUNTER ? " counter\n" : " gauge\n");
}

static void put_sample(struct text *text, const struct family *family, const char *labels,
                       const char *value, int64_t number)
{
    weir__text_put(text, family->name);
    weir__text_put(text, "{");
    weir__text_put(text, labels);
    if (value != NULL) {
        weir__text_put(text, ",");
        weir__text_put(text, family->label);
        weir__text_put(text, "=\"");
        weir__text_put(text, value);
        weir__text_put(text, "\"");
    }
    weir__text_put(text, "} ");
    weir__text_put_integer(text, number);
    weir__text_put(text, "\n");
}

static void put_samples(struct text *text, const struct family *family, const char *labels,
                        const int64_t numbers[FAMILY_VALUES])
{
    if (family->values == NULL)
        put_sample(text, family, labels, NULL, numbers[0]);
    else
        for (size_t i = 0; family->values[i] != NULL; i++)
            put_sample(text, family, labels, family->values[i], numbers[i]);
}

static void write_family(weir_metrics *metrics, const struct family *family, struct text *text)
{
    struct entry *entry = NULL;
    bool begun = false;
    while ((entry = weir__metrics_next(metrics, family->kind, entry)) != NULL) {
        struct use use;
        int64_t numbers[FAMILY_VALUES];
        if (!weir__metrics_use_begin(metrics, entry, &use))
            continue;
        family->read(entry->object, numbers);
        weir__metrics_use_end(metrics, &use);
        if (!begun)
            put_header(text, family->name, family->help, family->type);
        begun = true;
        put_samples(text, family, entry->labels, numbers);
        if (text->err != 0) {
            weir__metrics_leave(metrics, entry);
            return;
        }
    }
}

static void put_own(struct text *text, const struct entry *entry, double number)
{
    weir__text_put(text, entry->name);
    if (entry->labels[0] != '\0') {
        weir__text_put(text, "{");
        weir__text_put(text, entry->labels);
        weir__text_put(text, "}");
    }
    weir__text_put(text, " ");
    weir__text_put_double(text, number);
    weir__text_put(text, "\n");
}

/* The program's own: a family is what has the name of its first entry, which is kept meanwhile. */
static void write_own(weir_metrics *metrics, struct text *text)
{
    struct entry *entry = NULL, *first = NULL;
    while (text->err == 0 && (entry = weir__metrics_next(metrics, KIND_OWN, entry)) != NULL) {
        struct use use;
        if (!weir__metrics_use_begin(metrics, entry, &use))
            continue;
        double number = entry->fn((void *)(uintptr_t)entry->object);
        weir__metrics_use_end(metrics, &use);
        if (first == NULL || strcmp(first->name, entry->name) != 0) {
            if (first != NULL)
                weir__metrics_leave(metrics, first);
            first = entry;
            weir__metrics_keep(metrics, first);
            put_header(text, entry->name, entry->help, entry->type);
        }
        put_own(text, entry, number);
    }
    if (entry != NULL)
        weir__metrics_leave(metrics, entry);
    if (first != NULL)
        weir__metrics_leave(metrics, first);
}

static void count_call(weir_metrics *metrics, unsigned n)
{
    lock_acquire(&metrics->lock);
    metrics->calls += n;
    lock_release(&metrics->lock);
}

int weir_metrics_write(weir_metrics *metrics, weir_write_fn *write, void *arg)
{
    if (metrics == NULL || write == NULL)
        return -EINVAL;
    if (metrics_stale(metrics))
        return -ESTALE;
    struct text text;
    weir__text_begin(&text, write, arg);
    count_call(metrics, 1);
    for (size_t i = 0; i < weir__family_count && text.err == 0; i++)
        write_family(metrics, &weir__families[i], &text);
    if (text.err == 0)
        write_own(metrics, &text);
    int err = weir__text_end(&text);
    count_call(metrics, -1U);
    return err;
}
