// SPDX-License-Identifier: Apache-2.0
#ifndef MARTLET_CPGQUERY_SHIM_H
#define MARTLET_CPGQUERY_SHIM_H
#include <pg_query.h>
#endif
