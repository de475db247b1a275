// SPDX-License-Identifier: Apache-2.0
// The same exchange as bus-bench, on libzmq alone: what the bus is measured against.
//
//   exchange keys                                    two lines "public secret"
//   exchange server ENDPOINT PUBLIC SECRET PEER-PUBLIC
//   exchange client ENDPOINT PUBLIC SECRET PEER-PUBLIC BYTES IN-FLIGHT SECONDS
//
// Client and server behave towards their starter as bus-bench does. No protocol of ours: one frame there, one back.
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

enum { WARM_UP_NS = 300000000, LATENCIES_MAX = 16 << 20 };

static int64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void need(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "exchange: %s: %s\n", what, zmq_strerror(zmq_errno()));
    exit(1);
}

static void set(void *socket, int option, int value) {
    need(!zmq_setsockopt(socket, option, &value, sizeof value), "setsockopt");
}

// Queues deep enough never to matter, as in the bus.
static void *make_socket(void *context, int type) {
    void *socket = zmq_socket(context, type);
    need(socket != NULL, "socket");
    set(socket, ZMQ_LINGER, 0);
    set(socket, ZMQ_SNDHWM, 10000);
    set(socket, ZMQ_RCVHWM, 10000);
    return socket;
}

// Echoes until input ends. The message is passed on, not copied.
static int serve(void *context, char **arg) {
    void *socket = make_socket(context, ZMQ_ROUTER);
    set(socket, ZMQ_CURVE_SERVER, 1);
    need(!zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, arg[4], 40), "secret key");
    need(!zmq_bind(socket, arg[2]), "bind");
    puts("serving");
    fflush(stdout);
    for (;;) {
        zmq_msg_t routing, body;
        zmq_msg_init(&routing);
        zmq_msg_init(&body);
        // Half a second without a request: the time to look whether anybody still wants us.
        set(socket, ZMQ_RCVTIMEO, 500);
        if (zmq_msg_recv(&routing, socket, 0) < 0) {
            struct pollfd input = {.fd = 0, .events = POLLIN};
            if (poll(&input, 1, 0) == 1) break;
            continue;
        }
        do {
            need(zmq_msg_recv(&body, socket, 0) >= 0, "receive");
            need(zmq_msg_send(&routing, socket, ZMQ_SNDMORE) >= 0, "send");
            need(zmq_msg_send(&body, socket, 0) >= 0, "send");
            zmq_msg_init(&routing);
            zmq_msg_init(&body);
        } while (zmq_msg_recv(&routing, socket, ZMQ_DONTWAIT) >= 0);
    }
    zmq_close(socket);
    return 0;
}

static int by_value(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static int call(void *context, char **arg) {
    size_t bytes = strtoul(arg[6], NULL, 10), in_flight = strtoul(arg[7], NULL, 10);
    int64_t duration = (int64_t)(strtod(arg[8], NULL) * 1e9);
    if (bytes < sizeof(int64_t)) bytes = sizeof(int64_t);
    void *socket = make_socket(context, ZMQ_DEALER);
    need(!zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, arg[5], 40), "server key");
    need(!zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, arg[3], 40), "public key");
    need(!zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, arg[4], 40), "secret key");
    set(socket, ZMQ_RCVTIMEO, 10000);
    need(!zmq_connect(socket, arg[2]), "connect");

    uint32_t *latencies = malloc(LATENCIES_MAX * sizeof *latencies);
    char *frame = calloc(1, bytes);
    need(latencies && frame, "malloc");
    size_t count = 0, open = 0;
    int64_t measure_from = now_ns() + WARM_UP_NS, end = measure_from + duration;
    int measuring = 0;
    for (;;) {
        for (; open < in_flight; open++) {
            int64_t sent = now_ns();
            memcpy(frame, &sent, sizeof sent);
            need(zmq_send(socket, frame, bytes, 0) >= 0, "send");
        }
        zmq_msg_t reply;
        zmq_msg_init(&reply);
        need(zmq_msg_recv(&reply, socket, 0) >= 0, "receive");
        int64_t now = now_ns(), sent;
        need(zmq_msg_size(&reply) == bytes, "size");
        memcpy(&sent, zmq_msg_data(&reply), sizeof sent);
        zmq_msg_close(&reply);
        open--;
        if (now >= end) break;
        if (!measuring && now >= measure_from) {
            measuring = 1;
            puts("measuring");
            fflush(stdout);
        }
        if (measuring && sent >= measure_from && count < LATENCIES_MAX) latencies[count++] = (uint32_t)(now - sent);
    }
    qsort(latencies, count, sizeof *latencies, by_value);
#define PERCENTILE(part) (count ? latencies[(size_t)((count - 1) * (part))] / 1e3 : 0)
    printf("{\"requests\":%zu,\"per_s\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f}\n", count, count / (duration / 1e9),
           PERCENTILE(0.5), PERCENTILE(0.99));
    fflush(stdout);
    while (getchar() != EOF) {}
    zmq_close(socket);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "keys")) {
        for (int i = 0; i < 2; i++) {
            char public_key[41], secret_key[41];
            need(!zmq_curve_keypair(public_key, secret_key), "key pair");
            printf("%s %s\n", public_key, secret_key);
        }
        return 0;
    }
    void *context = zmq_ctx_new();
    need(context != NULL, "context");
    int result = 64;
    if (argc == 6 && !strcmp(argv[1], "server")) result = serve(context, argv);
    if (argc == 9 && !strcmp(argv[1], "client")) result = call(context, argv);
    if (result == 64) fprintf(stderr, "usage: exchange keys|server|client …\n");
    zmq_ctx_term(context);
    return result;
}
