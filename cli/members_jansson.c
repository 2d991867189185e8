/* SPDX-License-Identifier: MIT */
/* members_jansson.c - records that are JSON objects, read by jansson. */
#include "members.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool members_are_supported(void)
{
    return true;
}

void *members_read(struct bytes record, char *why, size_t size)
{
    json_error_t error;
    json_t *object = json_loadb(record.data, record.size, JSON_ALLOW_NUL, &error);
    if (object == NULL) {
        snprintf(why, size, "its record is not JSON: %s", error.text);
        return NULL;
    }
    if (json_is_object(object))
        return object;
    snprintf(why, size, "its record is JSON, but not an object");
    json_decref(object);
    return NULL;
}

bool members_append(struct buffer *buffer, const void *object, struct bytes name)
{
    char key[256];
    if (name.size >= sizeof(key))
        return false;
    memcpy(key, name.data, name.size);
    key[name.size] = '\0';
    json_t *value = json_object_get((const json_t *)object, key);
    if (value == NULL)
        return false;
    if (json_is_string(value)) {
        buffer_append(buffer, json_string_value(value), json_string_length(value));
        return true;
    }
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(17));
    if (text == NULL)
        buffer->failed = true;
    else
        buffer_append_text(buffer, text);
    free(text);
    return true;
}

void members_free(void *object)
{
    json_decref(object);
}
