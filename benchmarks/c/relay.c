/* The limit: the least that a forward proxy for CONNECT can cost. One thread, epoll, splice(2).
 *
 *     relay [--port N] [--pipe BYTES] [--authorization "Basic …"]
 *
 * It reads the head of a CONNECT to an IPv4 loopback literal, connects, answers 200, and moves bytes
 * between the sockets through pipes of --pipe bytes. A pipe is leased only while bytes are in flight.
 * No names, rules, limits, timeouts, logs or statistics: what a real proxy adds is what it costs.
 *
 * With --authorization it is also the parent proxy of the gateway cases: a CONNECT without exactly
 * that Proxy-Authorization gets 407. It is the same for every peer, and its own time is not counted.
 * `GET /tunnels` is answered with the number of tunnels that were asked for and allowed: so the
 * harness knows that a peer really went through its parent.
 *
 * Both sockets are watched edge-triggered once, so that nothing is changed in the epoll set later.
 * A direction is pumped until the kernel says EAGAIN, at most ROUNDS times in a turn: what is left
 * goes on a list that the next turn takes up, so that a fast stream does not starve the others. */
#define _GNU_SOURCE
#include "sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_BYTES = 8192, EVENTS = 256, ROUNDS = 8, SPARE_PIPES = 128 };

struct pipe_pair {
    int reading, writing;
};

enum state { READING_HEAD, CONNECTING, RELAYING, OVER };

struct tunnel;

/* One end of a tunnel; its pipe carries bytes *from* this end to the other one. */
struct end {
    struct tunnel *tunnel;
    int descriptor;
    bool ended;  /* its FIN was read */
    bool passed; /* and passed on to the other end */
    bool leased;
    struct pipe_pair pipe;
    size_t in_pipe;
};

struct tunnel {
    enum state state;
    struct end client, origin;
    char *head;
    size_t head_length;
    size_t early_at; /* where bytes behind the head begin */
    bool unfinished; /* on the list for the next turn */
    struct tunnel *next;
};

static int epoll;
static size_t pipe_bytes = 1048576;
static const char *authorization;
static struct pipe_pair spare[SPARE_PIPES];
static size_t spares;
static unsigned long long allowed;
static struct tunnel *over;       /* to be freed when the turn's events are done */
static struct tunnel *unfinished; /* to be pumped again in the next turn */

static bool lease(struct end *end) {
    if (spares) {
        end->pipe = spare[--spares];
    } else {
        int both[2];
        if (pipe2(both, O_NONBLOCK | O_CLOEXEC))
            return false;
        end->pipe = (struct pipe_pair){both[0], both[1]};
        if (fcntl(both[1], F_SETPIPE_SZ, (int)pipe_bytes) < 0)
            die("a pipe of %zu bytes: %s", pipe_bytes, strerror(errno));
    }
    return end->leased = true;
}

/* A pipe that still holds bytes is closed: it would leak them into another tunnel. */
static void give_back(struct end *end) {
    if (!end->leased)
        return;
    end->leased = false;
    if (!end->in_pipe && spares < SPARE_PIPES) {
        spare[spares++] = end->pipe;
        return;
    }
    close(end->pipe.reading);
    close(end->pipe.writing);
}

static void finish(struct tunnel *tunnel) {
    if (tunnel->state == OVER)
        return;
    tunnel->state = OVER;
    give_back(&tunnel->client);
    give_back(&tunnel->origin);
    close(tunnel->client.descriptor);
    if (tunnel->origin.descriptor >= 0)
        close(tunnel->origin.descriptor);
    free(tunnel->head);
    if (!tunnel->unfinished) { /* otherwise the list frees it */
        tunnel->next = over;
        over = tunnel;
    }
}

static void answer_and_finish(struct tunnel *tunnel, const char *answer) {
    (void)!send(tunnel->client.descriptor, answer, strlen(answer), 0);
    finish(tunnel);
}

/* Move bytes from one end to the other. False when the tunnel is broken; *again when rounds ran out. */
static bool pump(struct end *from, struct end *to, bool *again) {
    for (int round = 0; round < ROUNDS; round++) {
        if (!from->in_pipe) {
            if (from->ended)
                break;
            if (!from->leased && !lease(from))
                return false;
            ssize_t got = splice(from->descriptor, NULL, from->pipe.writing, NULL, pipe_bytes,
                                 SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
            if (got < 0 && errno == EAGAIN)
                break;
            if (got < 0)
                return false;
            if (!got) {
                from->ended = true;
                break;
            }
            from->in_pipe = (size_t)got;
        }
        ssize_t sent = splice(from->pipe.reading, NULL, to->descriptor, NULL, from->in_pipe,
                              SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (sent < 0 && errno == EAGAIN)
            return true;
        if (sent < 0)
            return false;
        from->in_pipe -= (size_t)sent;
        if (round == ROUNDS - 1)
            *again = true;
    }
    if (!from->in_pipe) {
        give_back(from);
        if (from->ended && !from->passed) {
            from->passed = true;
            if (!to->passed) /* otherwise both are closed at once, which says the same */
                shutdown(to->descriptor, SHUT_WR);
        }
    }
    return true;
}

static void relay(struct tunnel *tunnel) {
    bool again = false;
    if (!pump(&tunnel->client, &tunnel->origin, &again) || !pump(&tunnel->origin, &tunnel->client, &again) ||
        (tunnel->client.passed && tunnel->origin.passed)) {
        finish(tunnel);
    } else if (again && !tunnel->unfinished) {
        tunnel->unfinished = true;
        tunnel->next = unfinished;
        unfinished = tunnel;
    }
}

static bool authorized(const char *head) {
    const char *value = field(head, "Proxy-Authorization");
    size_t expected = authorization ? strlen(authorization) : 0;
    return !authorization || (value && !strncmp(value, authorization, expected) && value[expected] == '\r');
}

/* A whole head came: judge it and begin to connect. */
static void open_tunnel(struct tunnel *tunnel) {
    struct sockaddr_in address;
    if (!strncmp(tunnel->head, "GET /tunnels ", 13)) {
        char count[24], answer[128];
        int digits = snprintf(count, sizeof count, "%llu", allowed);
        snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
                 digits, count);
        answer_and_finish(tunnel, answer);
        return;
    }
    const char *target = tunnel->head + 8;
    size_t length = strcspn(target, " \r");
    if (strncmp(tunnel->head, "CONNECT ", 8) || loopback_address(target, length, &address)) {
        answer_and_finish(tunnel, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    }
    if (!authorized(tunnel->head)) {
        answer_and_finish(tunnel, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic "
                       "realm=\"parent\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    }
    allowed++;
    tunnel->origin.descriptor = begin_connect(&address);
    if (tunnel->origin.descriptor < 0) {
        answer_and_finish(tunnel, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    }
    tunnel->state = CONNECTING;
    watch(epoll, EPOLL_CTL_ADD, tunnel->origin.descriptor, EPOLLIN | EPOLLOUT | EPOLLET, &tunnel->origin);
}

static void read_head(struct tunnel *tunnel) {
    while (tunnel->head_length < HEAD_BYTES - 1) {
        ssize_t got = recv(tunnel->client.descriptor, tunnel->head + tunnel->head_length,
                           HEAD_BYTES - 1 - tunnel->head_length, 0);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            finish(tunnel);
            return;
        }
        tunnel->head_length += (size_t)got;
        tunnel->head[tunnel->head_length] = 0;
        const char *end = strstr(tunnel->head, "\r\n\r\n");
        if (end) {
            tunnel->early_at = (size_t)(end + 4 - tunnel->head);
            open_tunnel(tunnel);
            return;
        }
    }
    finish(tunnel);
}

static void connected(struct tunnel *tunnel) {
    static const char answer[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    if (connect_outcome(tunnel->origin.descriptor)) {
        answer_and_finish(tunnel, "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    }
    size_t early = tunnel->head_length - tunnel->early_at;
    if (send(tunnel->client.descriptor, answer, sizeof answer - 1, 0) != (ssize_t)sizeof answer - 1 ||
        (early && send(tunnel->origin.descriptor, tunnel->head + tunnel->early_at, early, 0) != (ssize_t)early)) {
        finish(tunnel);
        return;
    }
    free(tunnel->head);
    tunnel->head = NULL;
    tunnel->state = RELAYING;
    relay(tunnel); /* edges that came meanwhile are not told again */
}

static void accept_all(int listener) {
    for (int descriptor; (descriptor = accept_connection(listener)) >= 0;) {
        struct tunnel *tunnel = calloc(1, sizeof *tunnel);
        char *head = malloc(HEAD_BYTES);
        if (!tunnel || !head)
            die("out of memory");
        tunnel->head = head;
        tunnel->client = (struct end){.tunnel = tunnel, .descriptor = descriptor};
        tunnel->origin = (struct end){.tunnel = tunnel, .descriptor = -1};
        watch(epoll, EPOLL_CTL_ADD, descriptor, EPOLLIN | EPOLLOUT | EPOLLET, &tunnel->client);
    }
}

static void on_event(struct end *end, uint32_t events) {
    struct tunnel *tunnel = end->tunnel;
    if (tunnel->state == READING_HEAD)
        read_head(tunnel);
    else if (tunnel->state == CONNECTING && end == &tunnel->origin && events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
        connected(tunnel);
    else if (tunnel->state == RELAYING)
        relay(tunnel);
}

int main(int count, char **arguments) {
    static const struct option options[] = {{"port", required_argument, NULL, 'p'},
                                            {"pipe", required_argument, NULL, 's'},
                                            {"authorization", required_argument, NULL, 'a'},
                                            {0}};
    uint16_t port = 0;
    for (int option; (option = getopt_long(count, arguments, "", options, NULL)) != -1;) {
        if (option == 'p')
            port = (uint16_t)number("--port", optarg, 0, 65535);
        else if (option == 's')
            pipe_bytes = number("--pipe", optarg, 4096, 1 << 24);
        else if (option == 'a')
            authorization = optarg;
        else
            return 64;
    }
    prepare_process();
    int listener = listen_loopback(port);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, unfinished ? 0 : -1);
        struct tunnel *again = unfinished;
        unfinished = NULL;
        while (again) {
            struct tunnel *tunnel = again;
            again = tunnel->next;
            tunnel->unfinished = false;
            if (tunnel->state == RELAYING) {
                relay(tunnel);
            } else { /* it ended while it was on this list */
                tunnel->next = over;
                over = tunnel;
            }
        }
        for (int index = 0; index < ready; index++) {
            if (events[index].data.ptr)
                on_event(events[index].data.ptr, events[index].events);
            else
                accept_all(listener);
        }
        while (over) {
            struct tunnel *tunnel = over;
            over = tunnel->next;
            free(tunnel);
        }
    }
}
