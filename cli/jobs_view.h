/* SPDX-License-Identifier: MIT */
/* jobs_view.h - how a queue is shown: as text for people, as JSON, as metrics. */
#ifndef CLI_JOBS_VIEW_H
#define CLI_JOBS_VIEW_H

#include "bytes.h"
#include "weir/queue.h"

/* Each appends to `text`. */
void jobs_view_text(struct buffer *text, const weir_queue_stats *stats);
void jobs_view_running_text(struct buffer *text, const weir_queue_running *job, bool first);
void jobs_view_dead_text(struct buffer *text, const weir_queue_dead *job, bool first);

/* The counts without the brace at the end; a list of running jobs may follow. */
void jobs_view_json(struct buffer *text, const weir_queue_stats *stats);
void jobs_view_running_json(struct buffer *text, const weir_queue_running *job, bool first);
void jobs_view_dead_json(struct buffer *text, const weir_queue_dead *job);

void jobs_view_metrics(struct buffer *text, const weir_queue_stats *stats);

#endif
