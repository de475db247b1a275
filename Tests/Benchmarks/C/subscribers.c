// SPDX-License-Identifier: Apache-2.0
// Many WebSockets of /realtime/v1 in one cheap process: they join, send their heartbeats and count what they hear.
//
//   subscribers PORT PATH FILE
//
// FILE: for each socket one line, the text that it says once it stands (a phx_join), or an empty one. Prints "joined"
// once every socket has its answer, and what it was told about its change feed if it asked for one. Then, by lines of
// input: "reset" begins to count anew; "wait N SECONDS" answers with a line of JSON once N changes have come, or the
// time is up. Times are those of CLOCK_MONOTONIC. The end of the input ends it.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SOCKETS_MAX = 16384, INPUT_BYTES = 1 << 16, AT_ONCE = 32, HEARTBEAT_SECONDS = 20 };
enum state { HANDSHAKE, JOINING, OPEN, CLOSED };

struct subscriber {
    int descriptor, wants_feed, has_reply, has_feed;
    enum state state;
    uint64_t heard;
    size_t have, room;
    char *input, *join;
};

static struct subscriber sockets[SOCKETS_MAX];
static int socket_count, open_count, closed_count, close_code, poll_descriptor;
static uint64_t changes, bytes;
static int64_t first_ns, last_ns;

static int64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void need(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "subscribers: %s: %s\n", what, strerror(errno));
    exit(1);
}

// A frame under a mask of zeros, which the protocol allows.
static void say(struct subscriber *to, int opcode, const char *text, size_t length) {
    char frame[8192];
    size_t head = length < 126 ? 6 : 8;
    need(length + head <= sizeof frame, "a frame too long");
    memset(frame, 0, head);
    frame[0] = (char)(0x80 | opcode);
    frame[1] = (char)(0x80 | (length < 126 ? length : 126));
    if (length >= 126) frame[2] = (char)(length >> 8), frame[3] = (char)length;
    memcpy(frame + head, text, length);
    need(send(to->descriptor, frame, length + head, MSG_NOSIGNAL) == (ssize_t)(length + head), "send");
}

static int has(const char *text, size_t length, const char *part) {
    return memmem(text, length, part, strlen(part)) != NULL;
}

static void heard_text(struct subscriber *by, const char *text, size_t length) {
    size_t head = length < 256 ? length : 256;
    if (has(text, head, ",\"postgres_changes\",{")) {
        last_ns = now_ns();
        if (!changes++) first_ns = last_ns;
        by->heard++;
        bytes += length;
        return;
    }
    if (by->state != JOINING) return;
    if (has(text, head, ",\"phx_reply\",")) {
        if (!has(text, length, "\"status\":\"ok\"")) {
            fprintf(stderr, "subscribers: refused: %.*s\n", (int)length, text);
            exit(1);
        }
        by->has_reply = 1;
    } else if (has(text, head, ",\"system\",")) {
        if (!has(text, length, "Subscribed to PostgreSQL")) {
            fprintf(stderr, "subscribers: no feed: %.*s\n", (int)length, text);
            exit(1);
        }
        by->has_feed = 1;
    }
    if (by->has_reply && (by->has_feed || !by->wants_feed)) by->state = OPEN, open_count++;
}

static void close_socket(struct subscriber *which) {
    if (which->state == CLOSED) return;
    need(which->state == OPEN, "closed before it had joined");
    epoll_ctl(poll_descriptor, EPOLL_CTL_DEL, which->descriptor, NULL);
    close(which->descriptor);
    which->state = CLOSED;
    open_count--;
    closed_count++;
}

// Bytes of the frame at the front, 0 while it is not whole.
static size_t take_frame(struct subscriber *from, const unsigned char *data, size_t have) {
    if (have < 2) return 0;
    size_t length = data[1] & 0x7f, head = 2;
    if (length == 126) {
        if (have < 4) return 0;
        length = (size_t)data[2] << 8 | data[3], head = 4;
    } else if (length == 127) {
        if (have < 10) return 0;
        for (length = 0; head < 10; head++) length = length << 8 | data[head];
    }
    if (have < head + length) return 0;
    const char *payload = (const char *)data + head;
    switch (data[0] & 0xf) {
    case 1: heard_text(from, payload, length); break;
    case 8:
        if (length >= 2) close_code = data[head] << 8 | data[head + 1];
        close_socket(from);
        break;
    case 9: say(from, 10, payload, length); break;
    }
    return head + length;
}

static void joins(struct subscriber *which) {
    if (*which->join) {
        which->state = JOINING;
        say(which, 1, which->join, strlen(which->join));
    } else {
        which->state = OPEN;
        open_count++;
    }
}

static void receive(struct subscriber *from) {
    static char buffer[INPUT_BYTES * 4];
    // What was left of an unfinished frame goes in front; sockets that wait hold no buffer.
    memcpy(buffer, from->input, from->have);
    ssize_t count = recv(from->descriptor, buffer + from->have, sizeof buffer - from->have - 1, MSG_DONTWAIT);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return close_socket(from);
    size_t have = from->have + (size_t)count, at = 0, taken;
    if (from->state == HANDSHAKE) {
        buffer[have] = 0;
        char *end = strstr(buffer, "\r\n\r\n");
        if (end) {
            if (strncmp(buffer, "HTTP/1.1 101", 12)) {
                fprintf(stderr, "subscribers: no WebSocket: %s\n", buffer);
                exit(1);
            }
            at = (size_t)(end + 4 - buffer);
            joins(from);
        }
    }
    if (from->state != HANDSHAKE) {
        while (from->state != CLOSED && (taken = take_frame(from, (unsigned char *)buffer + at, have - at)))
            at += taken;
    }
    from->have = from->state == CLOSED ? 0 : have - at;
    if (from->have > from->room) need((from->input = realloc(from->input, from->room = from->have)) != NULL, "memory");
    memcpy(from->input, buffer + at, from->have);
}

static void begin(struct subscriber *which, int port, const char *path) {
    int one = 1;
    char request[8192];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    which->descriptor = socket(AF_INET, SOCK_STREAM, 0);
    need(which->descriptor >= 0, "socket");
    need(!connect(which->descriptor, (struct sockaddr *)&address, sizeof address), "connect");
    setsockopt(which->descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int length = snprintf(request, sizeof request,
        "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n", path);
    need(send(which->descriptor, request, (size_t)length, MSG_NOSIGNAL) == length, "send");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = which};
    epoll_ctl(poll_descriptor, EPOLL_CTL_ADD, which->descriptor, &event);
}

static void read_joins(const char *path) {
    FILE *file = fopen(path, "r");
    need(file != NULL, path);
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    while ((length = getline(&line, &room, file)) > 0) {
        need(socket_count < SOCKETS_MAX, "too many sockets");
        if (line[length - 1] == '\n') line[length - 1] = 0;
        sockets[socket_count].wants_feed = strstr(line, "\"postgres_changes\":[{") != NULL;
        sockets[socket_count++].join = strdup(line);
    }
    free(line);
    fclose(file);
}

static void tell(void) {
    int reached = 0;
    for (int index = 0; index < socket_count; index++) reached += sockets[index].heard > 0;
    printf("{\"changes\":%llu,\"bytes\":%llu,\"first_ns\":%lld,\"last_ns\":%lld,\"sockets\":%d,\"open\":%d,"
           "\"closed\":%d,\"close_code\":%d}\n", (unsigned long long)changes, (unsigned long long)bytes,
           (long long)first_ns, (long long)last_ns, reached, open_count, closed_count, close_code);
    fflush(stdout);
}

int main(int count, char **arg) {
    if (count != 4) return 64;
    read_joins(arg[3]);
    poll_descriptor = epoll_create1(0);
    struct epoll_event input = {.events = EPOLLIN, .data.ptr = NULL};
    need(!epoll_ctl(poll_descriptor, EPOLL_CTL_ADD, 0, &input), "input");
    int begun = 0, told = 0, beat = 0;
    uint64_t wanted = 0;
    int64_t wait_ends_ns = 0, next_beat_ns = now_ns();
    for (;;) {
        while (begun < socket_count && begun - open_count < AT_ONCE) begin(&sockets[begun++], atoi(arg[1]), arg[2]);
        if (!told && open_count == socket_count) {
            told = 1;
            puts("joined");
            fflush(stdout);
        }
        struct epoll_event events[512];
        int ready = epoll_wait(poll_descriptor, events, 512, 5);
        for (int index = 0; index < ready; index++) {
            if (events[index].data.ptr) {
                receive(events[index].data.ptr);
                continue;
            }
            char line[128];
            ssize_t length = read(0, line, sizeof line - 1);
            if (length <= 0) return 0;
            line[length] = 0;
            double seconds;
            unsigned long long number;
            if (sscanf(line, "wait %llu %lf", &number, &seconds) == 2) {
                wanted = number;
                wait_ends_ns = now_ns() + (int64_t)(seconds * 1e9);
            } else if (!strncmp(line, "reset", 5)) {
                for (int each = 0; each < socket_count; each++) sockets[each].heard = 0;
                changes = bytes = 0;
                first_ns = last_ns = 0;
                tell();
            }
        }
        if (wait_ends_ns && (changes >= wanted || now_ns() >= wait_ends_ns)) {
            wait_ends_ns = 0;
            tell();
        }
        // Heartbeats are spread evenly: one socket after the other, each once in HEARTBEAT_SECONDS.
        if (told && now_ns() >= next_beat_ns) {
            static const char text[] = "[null,\"h\",\"phoenix\",\"heartbeat\",{}]";
            next_beat_ns = now_ns() + HEARTBEAT_SECONDS * 1000000000LL / socket_count;
            if (sockets[beat].state == OPEN) say(&sockets[beat], 1, text, sizeof text - 1);
            beat = (beat + 1) % socket_count;
        }
    }
}
