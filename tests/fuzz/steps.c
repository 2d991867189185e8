/* SPDX-License-Identifier: MIT */
#include "steps.h"

#include "input.h"
#include "programs.h"
#include "scheduler.h"

void take_steps(const struct step steps[], unsigned n, unsigned most, bool (*room)(void),
                void (*compare)(void))
{
    for (unsigned i = 0; i < most && input_left() && room(); i++) {
        const struct step *step = &steps[input_below(n)];
        trace("-- %s", step->name);
        step->take();
        calls++;
        compare();
    }
}
