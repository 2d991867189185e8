/* SPDX-License-Identifier: MIT */
/* descriptor.h - jobs that wait until a descriptor is ready. */
#ifndef WEIR_POOL_DESCRIPTOR_H
#define WEIR_POOL_DESCRIPTOR_H

#include "pool/places.h"

extern const struct descriptor_ops weir__descriptor_ops;

#endif
