/* SPDX-License-Identifier: MIT */
/* progress.h - how far a run is, for programs: --progress FILE and --metrics FILE. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "run.h"

/* Begins the file of --progress anew, and sees whether that of --metrics can be made. Returns 0; a
 * negative errno after it has complained. */
int progress_open(struct run *run);

/* Adds an object to --progress, and replaces --metrics. */
void progress_write(struct run *run);

void progress_close(struct run *run);

#endif
