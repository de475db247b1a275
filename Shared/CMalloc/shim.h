// SPDX-License-Identifier: Apache-2.0
// glibc's malloc.h, which the module Glibc leaves out.
#ifndef MARTLET_CMALLOC_SHIM_H
#define MARTLET_CMALLOC_SHIM_H
#include <malloc.h>
#endif
