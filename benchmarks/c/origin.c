/* The origin that every peer is measured in front of: HTTP/1.1 with keep-alive, one thread, epoll.
 *
 *     origin [--port N] [--more M]
 *
 *   GET /bytes/N    N bytes with a Content-Length, streamed from one static block
 *   anything else   a small answer with six fields; a body with a Content-Length is read and dropped
 *                   first (uploads)
 *
 * With --more it also listens on M ports that the system chooses, and prints each as `port N` behind its
 * own: where something wants many backends, all of them are this one process. Once it answers, all are
 * open.
 *
 * It answers at once and takes no part in the measurement: only the peer's processor time counts.
 * `Connection: close` and HTTP/1.0 are honoured, since some proxies wait for the origin to close. */
#define _GNU_SOURCE
#include "sockets.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_BYTES = 16384, BLOCK_BYTES = 262144, EVENTS = 256 };

struct connection {
    int descriptor;
    bool listens;
    bool close_after;
    bool wants_writable;
    uint64_t body_left;   /* of an upload, still to be read */
    uint64_t stream_left; /* of /bytes/N, still to be written */
    size_t answer_left;   /* of `answer`, still to be written */
    const char *answer;
    char answer_head[256];
    char *head; /* an incomplete request head, NULL while there is none */
    size_t head_length;
};

static char small_answer[] =
    "HTTP/1.1 200 OK\r\n"
    "Server: origin\r\n"
    "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    "Content-Type: text/plain; charset=utf-8\r\n"
    "Content-Length: 64\r\n"
    "Cache-Control: no-store\r\n"
    "ETag: \"0123456789abcdef\"\r\n"
    "\r\n"
    "The origin answers with sixty-four bytes, a line of plain text.\n";

static char block[BLOCK_BYTES];
static char scratch[BLOCK_BYTES];

static void forget(struct connection *connection) {
    close(connection->descriptor);
    free(connection->head);
    free(connection);
}

static void take_on(int epoll, int descriptor, bool listens) {
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        die("out of memory");
    connection->descriptor = descriptor;
    connection->listens = listens;
    watch(epoll, EPOLL_CTL_ADD, descriptor, EPOLLIN, connection);
}

static void answer_small(struct connection *connection, bool changing) {
    static unsigned served;
    if (changing) {
        char digits[9];
        snprintf(digits, sizeof digits, "%08x", served++);
        memcpy(strstr(small_answer, "ETag: \"") + 7, digits, 8);
    }
    connection->answer = small_answer;
    connection->answer_left = sizeof small_answer - 1;
}

/* Decide what one whole head asks for. */
static void answer(struct connection *connection, const char *head) {
    const char *options = field(head, "Connection");
    const char *length = field(head, "Content-Length");
    const char *line_end = strstr(head, "\r\n");
    bool old = line_end - head > 8 && !memcmp(line_end - 8, "HTTP/1.0", 8);
    bool keep = options && !strncasecmp(options, "keep-alive", 10);
    connection->close_after = (options && !strncasecmp(options, "close", 5)) || (old && !keep);
    const char *target = strchr(head, ' ');
    if (target && !strncmp(target + 1, "http://", 7))
        target = strchr(target + 8, '/') ? strchr(target + 8, '/') - 1 : target;
    if (target && !strncmp(target + 1, "/bytes/", 7)) {
        connection->stream_left = strtoull(target + 8, NULL, 10);
        connection->answer = connection->answer_head;
        connection->answer_left = (size_t)snprintf(
            connection->answer_head, sizeof connection->answer_head,
            "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            "Content-Type: application/octet-stream\r\nContent-Length: %llu\r\n\r\n",
            (unsigned long long)connection->stream_left);
        return;
    }
    connection->body_left = length ? strtoull(length, NULL, 10) : 0;
    if (!connection->body_left)
        answer_small(connection, target && !strncmp(target + 1, "/changing ", 10));
}

/* Write what is due. False when the connection is over. */
static bool write_due(struct connection *connection) {
    while (connection->answer_left || connection->stream_left) {
        bool head = connection->answer_left > 0;
        size_t due = head                                    ? connection->answer_left
                     : connection->stream_left < BLOCK_BYTES ? (size_t)connection->stream_left
                                                             : BLOCK_BYTES;
        int more = head && connection->stream_left ? MSG_MORE : 0;
        ssize_t sent = send(connection->descriptor, head ? connection->answer : block, due, more);
        if (sent < 0)
            return errno == EAGAIN;
        if (head) {
            connection->answer += sent;
            connection->answer_left -= (size_t)sent;
            if (!connection->answer_left && !connection->stream_left)
                return !connection->close_after;
        } else {
            connection->stream_left -= (uint64_t)sent;
            if (!connection->stream_left)
                return !connection->close_after;
        }
    }
    return true;
}

/* Read what came: a body to drop, or heads to answer. False when the connection is over. */
static bool read_some(struct connection *connection) {
    size_t room = connection->body_left ? sizeof scratch : HEAD_BYTES - 1 - connection->head_length;
    ssize_t got = recv(connection->descriptor, scratch, room, 0);
    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    char *data = scratch;
    size_t left = (size_t)got;
    if (connection->body_left) {
        size_t part = left < connection->body_left ? left : (size_t)connection->body_left;
        connection->body_left -= part;
        if (connection->body_left)
            return true;
        answer_small(connection, false);
        return write_due(connection); /* no pipelining: what follows a body is not ours to expect */
    }
    if (connection->head) {
        memcpy(connection->head + connection->head_length, data, left);
        data = connection->head;
        left += connection->head_length;
    }
    data[left] = 0;
    char *end = strstr(data, "\r\n\r\n");
    if (!end) {
        if (left == HEAD_BYTES - 1)
            return false;
        if (!connection->head) {
            connection->head = malloc(HEAD_BYTES);
            if (!connection->head)
                die("out of memory");
            memcpy(connection->head, data, left);
        }
        connection->head_length = left;
        return true;
    }
    answer(connection, data);
    size_t rest = left - (size_t)(end + 4 - data);
    free(connection->head);
    connection->head = NULL;
    connection->head_length = 0;
    if (rest && connection->body_left) {
        connection->body_left -= rest < connection->body_left ? rest : connection->body_left;
        if (!connection->body_left)
            answer_small(connection, false);
    }
    return write_due(connection);
}

int main(int count, char **arguments) {
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'}, {"more", required_argument, NULL, 'm'}, {0}};
    uint16_t port = 0;
    uint64_t more = 0;
    for (int option; (option = getopt_long(count, arguments, "", options, NULL)) != -1;) {
        if (option == 'p')
            port = (uint16_t)number("--port", optarg, 0, 65535);
        else if (option == 'm')
            more = number("--more", optarg, 0, 1000);
        else
            return 64;
    }
    prepare_process();
    memset(block, 'a', sizeof block);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    take_on(epoll, listen_loopback(port), true);
    while (more--)
        take_on(epoll, listen_loopback(0), true);
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int index = 0; index < ready; index++) {
            struct connection *connection = events[index].data.ptr;
            if (connection->listens) {
                for (int descriptor; (descriptor = accept_connection(connection->descriptor)) >= 0;)
                    take_on(epoll, descriptor, false);
                continue;
            }
            bool open = connection->answer_left || connection->stream_left ? write_due(connection)
                                                                           : read_some(connection);
            if (!open) {
                forget(connection);
                continue;
            }
            bool wants = connection->answer_left || connection->stream_left;
            if (wants != connection->wants_writable) {
                connection->wants_writable = wants;
                watch(epoll, EPOLL_CTL_MOD, connection->descriptor, wants ? EPOLLOUT : EPOLLIN, connection);
            }
        }
    }
}
