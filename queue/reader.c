/* SPDX-License-Identifier: MIT */
/* reader.c - hiredis's reader, with a bound on arrays.
 *
 * Before 1.0 hiredis believes any number of elements that a server announces: thirteen bytes made
 * it allocate eight gigabytes. So the functions that make its objects are put behind ones of ours,
 * which find them where the reader keeps what is its user's.
 */
#include "reader.h"

#include <hiredis/hiredis.h>

/* No reply of a queue's scripts is near it. */
#define ELEMENTS_MOST (1 << 20)

#if HIREDIS_MAJOR > 0

redisReader *weir__reader_new(void)
{
    redisReader *reader = redisReaderCreate();
    if (reader != NULL)
        reader->maxelements = ELEMENTS_MOST;
    return reader;
}

#else

static const redisReplyObjectFunctions *plain(const redisReadTask *task)
{
    return task->privdata;
}

static void *create_string(const redisReadTask *task, char *text, size_t size)
{
    return plain(task)->createString(task, text, size);
}

static void *create_array(const redisReadTask *task, int elements)
{
    return elements <= ELEMENTS_MOST ? plain(task)->createArray(task, elements) : NULL;
}

static void *create_integer(const redisReadTask *task, long long value)
{
    return plain(task)->createInteger(task, value);
}

static void *create_nil(const redisReadTask *task)
{
    return plain(task)->createNil(task);
}

static redisReplyObjectFunctions bounded = {
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_integer,
    .createNil = create_nil,
    .freeObject = freeReplyObject,
};

redisReader *weir__reader_new(void)
{
    redisReader *reader = redisReaderCreate();
    if (reader != NULL) {
        reader->privdata = reader->fn;
        reader->fn = &bounded;
    }
    return reader;
}

#endif
