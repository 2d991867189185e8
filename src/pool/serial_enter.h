/* SPDX-License-Identifier: MIT */
/* serial_enter.h - how a task enters a serial. */
#ifndef WEIR_POOL_SERIAL_ENTER_H
#define WEIR_POOL_SERIAL_ENTER_H

#include "pool/serial_work.h"
#include "pool/submit.h"

/* As weir__submit, with a job whose sink is a handle that belongs to the serial. */
int weir__serial_enter(struct serial *serial, const struct job *job, enum submit_mode mode,
                       weir_context *ctx, int64_t deadline);

#endif
