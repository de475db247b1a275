// SPDX-License-Identifier: Apache-2.0
// libzmq, and the two kernel interfaces of the bus thread that Glibc's module leaves out.
#ifndef MARTLET_CZEROMQ_SHIM_H
#define MARTLET_CZEROMQ_SHIM_H
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <zmq.h>

// Stands in the draft part of zmq.h, so the name is not visible; the option works in libzmq 4.3.4 by its number.
// With it a CURVE server without a ZAP handler refuses everybody instead of admitting everybody.
enum { MARTLET_ZMQ_ZAP_ENFORCE_DOMAIN = 93 };
#endif
