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
#include "see/text_value.h"

/* Of the buckets in the text: 1 us to 17 s. */
enum { FIRST_POWER = 10, LAST_POWER = 34 };

static const char *const type_names[] = {
    [TYPE_COUNTER] = "counter",
    [TYPE_GAUGE] = "gauge",
    [TYPE_HISTOGRAM] = "histogram",
};

static void put_header(struct text *text, const char *name, const char *help, enum type type)
{
    weir__text(text, "# HELP ");
    weir__text(text, name);
    weir__text(text, " ");
    weir__text(text, help);
    weir__text(text, "\n# TYPE ");
    weir__text(text, name);
    weir__text(text, " ");
    weir__text(text, type_names[type]);
    weir__text(text, "\n");
}

/* Up to the number: the name with its suffix, and the labels. */
static void put_begin(struct text *text, const struct family *family, const char *suffix,
                      const struct entry *entry)
{
    weir__text(text, family->name);
    weir__text(text, suffix);
    weir__text(text, "{");
    weir__text(text, entry->labels);
}

static void put_sample(struct text *text, const struct family *family, const struct entry *entry,
                       const char *value, int64_t number)
{
    put_begin(text, family, "", entry);
    if (value != NULL) {
        weir__text(text, ",");
        weir__text(text, family->label);
        weir__text(text, "=\"");
        weir__text(text, value);
        weir__text(text, "\"");
    }
    weir__text(text, "} ");
    if (family->seconds)
        weir__text_seconds(text, (uint64_t)number);
    else
        weir__text_integer(text, number);
    weir__text(text, "\n");
}

static void put_samples(struct text *text, const struct family *family, const struct entry *entry,
                        const int64_t numbers[FAMILY_VALUES])
{
    if (family->values == NULL)
        put_sample(text, family, entry, NULL, numbers[0]);
    else
        for (size_t i = 0; family->values[i] != NULL; i++)
            if (numbers[i] != NO_VALUE)
                put_sample(text, family, entry, family->values[i], numbers[i]);
}

/* One bucket of the text for every second power of two, where those of the histogram end too (so a
 * duration of just that many ns counts as more). */
static void put_histogram(struct text *text, const struct family *family, const struct entry *entry,
                          const weir_histogram *histogram)
{
    size_t bucket = 0;
    uint64_t below = 0, first, last;
    for (unsigned power = FIRST_POWER; power <= LAST_POWER; power += 2) {
        while (weir_histogram_bounds(bucket, &first, &last) == 0 && last < UINT64_C(1) << power)
            below += histogram->buckets[bucket++];
        put_begin(text, family, "_bucket", entry);
        weir__text(text, ",le=\"");
        weir__text_seconds(text, UINT64_C(1) << power);
        weir__text(text, "\"} ");
        weir__text_integer(text, (int64_t)below);
        weir__text(text, "\n");
    }
    put_begin(text, family, "_bucket", entry);
    weir__text(text, ",le=\"+Inf\"} ");
    weir__text_integer(text, (int64_t)histogram->count);
    weir__text(text, "\n");
    put_begin(text, family, "_sum", entry);
    weir__text(text, "} ");
    weir__text_seconds(text, histogram->sum);
    weir__text(text, "\n");
    put_begin(text, family, "_count", entry);
    weir__text(text, "} ");
    weir__text_integer(text, (int64_t)histogram->count);
    weir__text(text, "\n");
}

/* What was read of an object for one family. */
struct reading {
    int64_t numbers[FAMILY_VALUES];
    weir_histogram histogram;
};

/* False: the object was removed. */
static bool read_entry(weir_metrics *metrics, const struct family *family, struct entry *entry,
                       struct reading *ret)
{
    struct use use;
    if (!weir__metrics_use_begin(metrics, entry, &use))
        return false;
    if (family->type == TYPE_HISTOGRAM)
        family->read_histogram(entry->object, &ret->histogram);
    else
        family->read(entry->object, ret->numbers);
    weir__metrics_use_end(metrics, &use);
    return true;
}

static void write_family(weir_metrics *metrics, const struct family *family, struct text *text)
{
    struct entry *entry = NULL;
    bool begun = false;
    while ((entry = weir__metrics_next(metrics, family->kind, entry)) != NULL) {
        struct reading reading;
        if (!read_entry(metrics, family, entry, &reading))
            continue;
        if (!begun)
            put_header(text, family->name, family->help, family->type);
        begun = true;
        if (family->type == TYPE_HISTOGRAM)
            put_histogram(text, family, entry, &reading.histogram);
        else
            put_samples(text, family, entry, reading.numbers);
        if (text->err != 0) {
            weir__metrics_leave(metrics, entry);
            return;
        }
    }
}

static void put_own(struct text *text, const struct entry *entry, double number)
{
    weir__text(text, entry->name);
    if (entry->labels[0] != '\0') {
        weir__text(text, "{");
        weir__text(text, entry->labels);
        weir__text(text, "}");
    }
    weir__text(text, " ");
    weir__text_double(text, number);
    weir__text(text, "\n");
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
    struct text text = {.write = write, .arg = arg};
    count_call(metrics, 1);
    for (size_t i = 0; i < weir__family_count && text.err == 0; i++)
        write_family(metrics, &weir__families[i], &text);
    if (text.err == 0)
        write_own(metrics, &text);
    int err = weir__text_flush(&text);
    count_call(metrics, -1U);
    return err;
}
