/* SPDX-License-Identifier: MIT */
/* reader.h - reads replies of a server that is not trusted. */
#ifndef WEIR_QUEUE_READER_H
#define WEIR_QUEUE_READER_H

struct redisReader;

/* For redisReaderFree. NULL: no memory. */
struct redisReader *weir__reader_new(void);

#endif
