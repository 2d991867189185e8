/* SPDX-License-Identifier: MIT */
#include "target.h"

#include "arena.h"
#include "choices.h"
#include "input.h"
#include "programs.h"
#include "scheduler.h"

const struct program programs[] = {
    {"pool", pool_program}, {"traffic", traffic_program}, {"contexts", context_program},
    {"ring", ring_program}, {"serials", serial_program},  {"gates", gate_program},
};

unsigned long calls;

/* By the first byte: one of sixteen is for the serials, and one for the gates; the others are for
 * the first four, so that inputs keep their meaning when a program is added. */
const struct program *target_program(const uint8_t *bytes, size_t size)
{
    unsigned byte = size > 0 ? bytes[0] : 0;
    switch (byte % 16) {
    case 12:
        return &programs[4];
    case 13:
        return &programs[5];
    default:
        return &programs[byte % 4];
    }
}

const char *target_run(const uint8_t *bytes, size_t size, bool trace)
{
    static bool ready;
    if (!ready)
        arena_init();
    ready = true;
    const struct program *program = target_program(bytes, size);
    /* The models speak of a caller that knows what the workers did: it sees nothing overwritten. */
    struct bounds bounds = {.preemptions = 100, .turns = 100, .spurious = 3};
    if (program->run == traffic_program)
        bounds.stale = 4;
    input_set(bytes, size);
    (void)input_byte();
    choices_given(bounds, input_schedule_byte);
    choices_begin_run(0);
    return run_once(program->run, trace);
}
