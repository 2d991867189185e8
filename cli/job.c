/* SPDX-License-Identifier: MIT */
/* job.c - makes and frees jobs. */
#include "job.h"

#include "members.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct job *job_new(const struct bytes columns[], size_t n_columns, const size_t ends[],
                    size_t n_records)
{
    size_t size = n_columns * sizeof(struct bytes) + n_records * sizeof(size_t) + 1;
    for (size_t i = 0; i < n_columns; i++)
        size += columns[i].size;
    struct job *job = calloc(1, sizeof(*job));
    void *records = malloc(size);
    if (job == NULL || records == NULL) {
        free(job);
        free(records);
        return NULL;
    }
    job->input = -1;
    job->holders = 1;
    job->weight = size / JOB_UNIT >= UINT32_MAX ? UINT32_MAX : (uint32_t)(size / JOB_UNIT) + 1;
    job->records = records;
    job->n_columns = n_columns;
    job->n_records = n_records;
    job->columns = records;
    job->ends = (size_t *)(job->columns + n_columns);
    char *data = (char *)(job->ends + n_records);
    for (size_t i = 0; i < n_columns; i++) {
        if (columns[i].size > 0)
            memcpy(data, columns[i].data, columns[i].size);
        job->columns[i] = (struct bytes){data, columns[i].size};
        data += columns[i].size;
    }
    *data = '\0';
    if (n_records > 0)
        memcpy(job->ends, ends, n_records * sizeof(size_t));
    return job;
}

struct job *job_new_command(struct bytes command)
{
    size_t end = 1;
    struct job *job = job_new(&command, 1, &end, 1);
    if (job != NULL)
        job->command = job->columns[0].data; /* a byte of zero follows it */
    return job;
}

void job_free(struct job *job)
{
    if (job == NULL)
        return;
    if (job->input >= 0)
        close(job->input);
    capture_free(&job->out);
    capture_free(&job->err);
    buffer_free(&job->shown);
    buffer_free(&job->tag);
    job_forget_records(job);
    free(job);
}

void job_forget_records(struct job *job)
{
    members_free(job->object);
    free(job->records);
    job->object = NULL;
    job->records = NULL;
    job->columns = NULL;
    job->ends = NULL;
    job->n_columns = job->n_records = 0;
}

/* The task of a job that can be retried is in its memory, and ends after the last of its holders
 * may have said so. */
void job_release(struct job *job, struct bin *bin)
{
    pthread_mutex_lock(&bin->lock);
    bool last = --job->holders == 0;
    if (last && job->can_be_retried) {
        job->next = bin->first;
        bin->first = job;
        last = false;
    }
    pthread_mutex_unlock(&bin->lock);
    if (last)
        job_free(job);
}

void bin_empty(struct bin *bin)
{
    pthread_mutex_lock(&bin->lock);
    struct job *job = bin->first;
    bin->first = NULL;
    pthread_mutex_unlock(&bin->lock);
    while (job != NULL) {
        struct job *next = job->next;
        /* It waits for a few instructions at most, and cannot fail: the task was submitted. */
        if (weir_task_wait(&job->task) == 0)
            job_free(job);
        job = next;
    }
}
