/* SPDX-License-Identifier: MIT */
#include "future.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler.h"

enum { MAX_WORDS = 1 << 12 };

/* What was stored to a word, and by which threads; those in use were learned in earlier runs. */
struct values {
    const void *address;
    unsigned count, in_use;
    uint64_t values[MOST_FUTURES];
    uint8_t threads[MOST_FUTURES], threads_in_use[MOST_FUTURES];
};

static struct values words[MAX_WORDS];
static unsigned word_count;
static bool learned; /* something that is not in use */

static struct {
    const void *address;
    uint64_t value;
    uint16_t time;
    unsigned thread;
    bool open, was_open, allowed;
} load;

void future_forget(void)
{
    if (word_count > 0)
        memset(words, 0, sizeof words);
    word_count = 0;
    learned = false;
}

void future_use(void)
{
    for (unsigned i = 0; i < MAX_WORDS && learned; i++) {
        words[i].in_use = words[i].count;
        memcpy(words[i].threads_in_use, words[i].threads, sizeof words[i].threads);
    }
    learned = false;
}

void future_begin_run(void)
{
    load.open = load.was_open = load.allowed = false;
}

void loads_may_be_late(void)
{
    load.allowed = true;
}

bool future_is_open(void)
{
    return load.open;
}

/* NULL: there is no room. */
static struct values *values_of(const void *address)
{
    size_t at = ((uintptr_t)address * UINT64_C(0x9E3779B97F4A7C15)) >> 52;
    while (words[at].address != address) {
        if (words[at].address == NULL) {
            if (word_count == MAX_WORDS / 2)
                return NULL;
            word_count++;
            words[at].address = address;
            break;
        }
        at = (at + 1) % MAX_WORDS;
    }
    return &words[at];
}

unsigned future_values(const void *address, uint64_t ret_values[MOST_FUTURES])
{
    if (load.was_open || !load.allowed)
        return 0;
    const struct values *seen = values_of(address);
    unsigned n = 0;
    for (unsigned i = 0; seen != NULL && i < seen->in_use; i++)
        if ((seen->threads_in_use[i] & ~(1U << current->number)) != 0)
            ret_values[n++] = seen->values[i];
    return n;
}

/* A value that does not come after all may lead a run anywhere. */
static void crashed(int signal_number)
{
    if (load.open)
        give_up();
    (void)signal(signal_number, SIG_DFL); /* and on to the same again */
}

static void survive_crashes(void)
{
    static char stack[1 << 16];
    static bool done;
    if (done)
        return;
    done = true;
    stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = crashed, .sa_flags = SA_ONSTACK | SA_NODEFER};
    if (sigaltstack(&other, NULL) != 0 || sigaction(SIGSEGV, &action, NULL) != 0 ||
        sigaction(SIGBUS, &action, NULL) != 0)
        abort();
}

void future_open(const void *address, uint64_t value)
{
    survive_crashes();
    load.address = address;
    load.value = value;
    load.time = current->clock.at[current->number];
    load.thread = current->number;
    load.open = load.was_open = true;
}

static bool knows_load(void)
{
    return current->clock.at[load.thread] >= load.time;
}

void future_meet(const void *address)
{
    if (load.open && load.address == address && knows_load())
        give_up();
}

static void learn(const void *address, uint64_t value)
{
    struct values *seen = values_of(address);
    unsigned i = 0;
    if (seen == NULL)
        return;
    while (i < seen->count && seen->values[i] != value)
        i++;
    if (i == MOST_FUTURES)
        return;
    if (i == seen->count) {
        seen->count++;
        seen->values[i] = value;
        seen->threads[i] = 0;
    }
    uint8_t me = (uint8_t)(1U << current->number);
    learned = learned || (seen->threads[i] & me) == 0;
    seen->threads[i] |= me;
}

int future_close(const void *address, uint64_t value, uint16_t *ret_time)
{
    if (load.open && load.address == address && load.value == value && !knows_load()) {
        load.open = false;
        *ret_time = load.time;
        return (int)load.thread;
    }
    if (!load.was_open && load.allowed && exploring())
        learn(address, value);
    return -1;
}
