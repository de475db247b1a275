// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 requests that stand ready in a file, over kept connections with one request in flight each.
//
//   http_load PORT CONNECTIONS SECONDS FILE
//
// FILE: for each request its length in decimal, a line feed, its bytes. With SECONDS 0 each request is sent once, else
// they are repeated until the time is up. Prints "measuring" once all connections stand, in the end one line of JSON.
// It costs little processor time, so that what runs beside it on the same machine is what is measured.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 4096, LATENCIES_MAX = 16 << 20, STATUS_MAX = 600, INPUT_BYTES = 1 << 20 };

struct connection {
    int descriptor, busy;
    size_t have;
    int64_t sent_ns;
    char *input;
};

static struct { char *bytes; size_t length; } *requests;
static size_t request_count, next_request;
static struct connection connections[CONNECTIONS_MAX];
static uint32_t *latencies_us, latency_count;
static uint64_t statuses[STATUS_MAX];
static int64_t ends_ns, last_ns;

static int64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void need(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "http_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void read_requests(const char *path) {
    FILE *file = fopen(path, "rb");
    need(file != NULL, path);
    size_t length, room = 0;
    while (fscanf(file, "%zu", &length) == 1) {
        need(fgetc(file) == '\n', "a length ends with a line feed");
        if (request_count == room) {
            room = room ? room * 2 : 1024;
            need((requests = realloc(requests, room * sizeof *requests)) != NULL, "memory");
        }
        char *bytes = malloc(length);
        need(bytes && fread(bytes, 1, length, file) == length, "request");
        requests[request_count].bytes = bytes;
        requests[request_count++].length = length;
    }
    fclose(file);
    need(request_count > 0, "no request");
}

// Requests fit into the socket's buffer, since none is in flight on it.
static int send_next(struct connection *connection) {
    if (ends_ns ? now_ns() >= ends_ns : next_request == request_count) return 0;
    size_t index = next_request++ % request_count;
    connection->sent_ns = now_ns();
    connection->busy = 1;
    ssize_t sent = send(connection->descriptor, requests[index].bytes, requests[index].length, MSG_NOSIGNAL);
    need(sent == (ssize_t)requests[index].length, "send");
    return 1;
}

// Bytes of the answer that stands in the input, 0 while it is not whole.
static size_t whole_answer(struct connection *connection, int *status) {
    connection->input[connection->have] = 0;
    char *head_end = strstr(connection->input, "\r\n\r\n");
    if (!head_end) return 0;
    *status = atoi(connection->input + 9);
    size_t length = 0;
    if (*status != 204 && *status != 304) {
        char *field = strcasestr(connection->input, "\r\ncontent-length:");
        need(field && field < head_end, "an answer without Content-Length");
        length = strtoul(field + 17, NULL, 10);
    }
    size_t total = (size_t)(head_end + 4 - connection->input) + length;
    need(total < INPUT_BYTES, "an answer too long");
    return connection->have >= total ? total : 0;
}

static int receive(struct connection *connection) {
    ssize_t count = recv(connection->descriptor, connection->input + connection->have,
                         INPUT_BYTES - 1 - connection->have, 0);
    need(count > 0, "the server closed a connection");
    connection->have += (size_t)count;
    int status;
    size_t length = whole_answer(connection, &status);
    if (!length) return 1;
    need(length == connection->have, "more than one answer");
    last_ns = now_ns();
    need(latency_count < LATENCIES_MAX, "too many requests");
    latencies_us[latency_count++] = (uint32_t)((last_ns - connection->sent_ns) / 1000);
    statuses[status >= 0 && status < STATUS_MAX ? status : 0]++;
    connection->have = 0;
    connection->busy = 0;
    return send_next(connection);
}

static int ascending(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

int main(int count, char **arg) {
    if (count != 5) return 64;
    int port = atoi(arg[1]), in_flight = atoi(arg[2]);
    double seconds = atof(arg[3]);
    need(in_flight > 0 && in_flight <= CONNECTIONS_MAX, "CONNECTIONS");
    read_requests(arg[4]);
    latencies_us = malloc(LATENCIES_MAX * sizeof *latencies_us);
    int poll = epoll_create1(0), one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int index = 0; index < in_flight; index++) {
        struct connection *connection = &connections[index];
        connection->descriptor = socket(AF_INET, SOCK_STREAM, 0);
        need(connection->descriptor >= 0 && (connection->input = malloc(INPUT_BYTES)) != NULL, "socket");
        need(!connect(connection->descriptor, (struct sockaddr *)&address, sizeof address), "connect");
        setsockopt(connection->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        epoll_ctl(poll, EPOLL_CTL_ADD, connection->descriptor, &event);
    }
    puts("measuring");
    fflush(stdout);
    int64_t began_ns = now_ns();
    ends_ns = seconds > 0 ? began_ns + (int64_t)(seconds * 1e9) : 0;
    int open = 0;
    for (int index = 0; index < in_flight; index++) open += send_next(&connections[index]);
    while (open > 0) {
        struct epoll_event events[256];
        int ready = epoll_wait(poll, events, 256, 30000);
        need(ready > 0, "no answer for 30 s");
        for (int index = 0; index < ready; index++) open -= !receive(events[index].data.ptr);
    }
    double took = (double)(last_ns - began_ns) / 1e9;
    qsort(latencies_us, latency_count, sizeof *latencies_us, ascending);
    printf("{\"requests\":%u,\"seconds\":%.6f,\"per_s\":%.1f,\"p50_us\":%u,\"p99_us\":%u,\"max_us\":%u,"
           "\"began_ns\":%lld,\"statuses\":{", latency_count, took, latency_count / took,
           latencies_us[latency_count / 2], latencies_us[(uint64_t)latency_count * 99 / 100], latencies_us[latency_count - 1],
           (long long)began_ns);
    for (int status = 0, first = 1; status < STATUS_MAX; status++) {
        if (!statuses[status]) continue;
        printf("%s\"%d\":%llu", first ? "" : ",", status, (unsigned long long)statuses[status]);
        first = 0;
    }
    puts("}}");
    return 0;
}
