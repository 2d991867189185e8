/* SPDX-License-Identifier: MIT */
/* weir.h - everything weir offers, in one include. */
#ifndef WEIR_H
#define WEIR_H

#include "weir/base.h"
#include "weir/blocking.h"
#include "weir/breaker.h"
#include "weir/channel.h"
#include "weir/clock.h"
#include "weir/completion.h"
#include "weir/context.h"
#include "weir/dump.h"
#include "weir/errgroup.h"
#include "weir/gate.h"
#include "weir/keyed.h"
#include "weir/lane.h"
#include "weir/lease.h"
#include "weir/limiter.h"
#include "weir/metrics.h"
#include "weir/parallel.h"
#include "weir/pipeline.h"
#include "weir/pool.h"
#include "weir/pool_options.h"
#include "weir/ready.h"
#include "weir/retry.h"
#include "weir/ring.h"
#include "weir/semaphore.h"
#include "weir/serial.h"
#include "weir/shutdown.h"
#include "weir/signals.h"
#include "weir/stats.h"
#include "weir/task.h"
#include "weir/timer.h"
#include "weir/topic.h"
#include "weir/trace.h"
#include "weir/waitgroup.h"

#endif
