/* The client of every measurement: one thread, epoll, nothing but counting.
 *
 *     load MODE --proxy 127.0.0.1:P (--origin 127.0.0.1:O | --host NAME) [options]
 *
 * With --origin the proxy is a forward proxy:
 *
 *   connect  --count N --concurrency C: N tunnels, C at a time: CONNECT, its 2xx, one small GET,
 *            its answer, close
 *   get      --count N --concurrency C --head small|browser|changing: N absolute-form GETs over C connections
 *            that are kept alive where the proxy keeps them
 *   bulk     --count S --bytes B [--upload]: S tunnels at once, B bytes through each
 *   hold     --count N --concurrency C: open N tunnels and leave them idle until standard input ends
 *
 * With --host it is a reverse proxy that is asked for this host:
 *
 *   get      the same in origin-form. --bytes B: bodies of that length, --upload: the requests' bodies.
 *            --hosts N: for 0000.NAME to N - 1 in turn. --once: each on a connection of its own
 *   hold     open N connections, one small GET over each, and leave them idle
 *   --tls    over TLS 1.3; every handshake is a full one
 *
 * --deadline S bounds the whole run. One JSON object goes to standard output: what was done and what
 * failed, seconds, bytes of bodies, connections made, and latencies of a unit of work in
 * microseconds (p50, p99). `hold` prints it when all are open. Status 1 when too much failed. */
#define _GNU_SOURCE
#include "channel.h"
#include "heads.h"
#include "plan.h"
#include "sockets.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { ANSWER_BYTES = 8192, EVENTS = 256, BLOCK_BYTES = 262144, FAILURES_SHOWN = 3 };

enum state { UNUSED, CONNECTING, SHAKING, OPENING, ASKING, UPLOADING, HELD };

struct client {
    struct channel channel;
    enum state state;
    bool wants_writable;
    bool served; /* this connection has carried an answer before */
    double began;
    uint64_t body_left;
    bool body_known; /* the head of the answer has been read */
    bool until_close;
    bool keep;
    uint64_t upload_left;
    char answer[ANSWER_BYTES];
    size_t answer_length;
};

static struct plan plan;
static uint64_t begun, done, failed, moved, connections;
static int epoll;
static float *latencies;
static char block[BLOCK_BYTES];

static void interest(struct client *client, bool writable) {
    if (client->wants_writable == writable)
        return;
    client->wants_writable = writable;
    watch(epoll, EPOLL_CTL_MOD, client->channel.descriptor, writable ? EPOLLOUT : EPOLLIN, client);
}

/* A head fits into an empty send buffer, or something is wrong. */
static bool send_whole(struct client *client, const char *data, size_t length) {
    return channel_send(&client->channel, data, length) == (ssize_t)length;
}

static void hang_up(struct client *client) {
    if (client->state != UNUSED)
        channel_close(&client->channel);
    client->state = UNUSED;
}

static void start(struct client *client) {
    client->channel.descriptor = begin_connect(&plan.proxy);
    if (client->channel.descriptor < 0)
        die("connect: %s", strerror(errno));
    connections++;
    client->state = CONNECTING;
    client->served = false;
    client->wants_writable = true;
    client->answer_length = 0;
    watch(epoll, EPOLL_CTL_ADD, client->channel.descriptor, EPOLLOUT, client);
}

/* Take up the next unit of work, on the open connection if it is kept. */
static void next_unit(struct client *client) {
    if (begun == plan.count) {
        hang_up(client);
        return;
    }
    begun++;
    client->began = monotonic();
    if (client->state == UNUSED)
        start(client);
}

static void fail(struct client *client, const char *reason) {
    if (failed++ < FAILURES_SHOWN)
        fprintf(stderr, "failed: %s (%.60s)\n", reason, client->answer_length ? client->answer : "no answer");
    hang_up(client);
    if (failed > 20 + plan.count / 100)
        die("too many failures");
    next_unit(client);
}

static void complete(struct client *client) {
    latencies[done++] = (float)((monotonic() - client->began) * 1e6);
    client->served = true;
    if (plan.mode == HOLD) {
        client->state = HELD;
        if (!client->keep)
            die("the proxy does not keep connections");
        return;
    }
    if (plan.mode != GET || !client->keep || plan.once)
        hang_up(client);
    next_unit(client);
}

static void ask(struct client *client) {
    static unsigned turn;
    if (plan.changing)
        change_session(plan.request);
    if (plan.hosts)
        number_host(plan.request, turn++ % plan.hosts);
    client->state = ASKING;
    client->answer_length = 0;
    client->body_known = false;
    if (!send_whole(client, plan.request, plan.request_length)) {
        fail(client, "the request could not be written");
        return;
    }
    client->upload_left = plan.upload ? plan.bytes : 0;
    interest(client, plan.upload);
    if (plan.upload)
        client->state = UPLOADING;
}

static void write_upload(struct client *client) {
    while (client->upload_left) {
        size_t due = client->upload_left < BLOCK_BYTES ? (size_t)client->upload_left : BLOCK_BYTES;
        ssize_t sent = channel_send(&client->channel, block, due);
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent < 0) {
            fail(client, strerror(errno));
            return;
        }
        client->upload_left -= (uint64_t)sent;
        moved += (uint64_t)sent;
    }
    client->state = ASKING;
    interest(client, false);
}

static bool accepted(const struct client *client) {
    return !strncmp(client->answer, "HTTP/1.", 7) && client->answer[8] == ' ' && client->answer[9] == '2';
}

/* A whole head of an answer is in the buffer, its body begins at `body`. */
static void read_answer_head(struct client *client, const char *body) {
    const char *length = field(client->answer, "Content-Length");
    const char *options = field(client->answer, "Connection");
    if (!options)
        options = field(client->answer, "Proxy-Connection");
    bool old = client->answer[7] == '0';
    client->keep = options ? !strncasecmp(options, "keep-alive", 10) : !old;
    client->until_close = !length;
    client->body_left = length ? strtoull(length, NULL, 10) : UINT64_MAX;
    client->body_known = true;
    if (client->until_close && field(client->answer, "Transfer-Encoding")) {
        fail(client, "a chunked answer, which the origin never sends");
        return;
    }
    if (plan.mode == GET && plan.bytes && !plan.upload && client->body_left != plan.bytes) {
        fail(client, "another body than was asked for");
        return;
    }
    uint64_t held = client->answer_length - (size_t)(body - client->answer);
    if (!client->until_close && held > client->body_left) {
        fail(client, "more than the answer");
        return;
    }
    client->body_left -= held;
    moved += held;
    if (!client->body_left)
        complete(client);
}

static void read_head(struct client *client) {
    ssize_t got = channel_recv(&client->channel, client->answer + client->answer_length,
                               ANSWER_BYTES - 1 - client->answer_length);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0 && client->served && !client->answer_length && client->state == ASKING) {
        hang_up(client); /* a kept connection that the proxy closed meanwhile: the request goes again */
        start(client);
        return;
    }
    if (got <= 0) {
        fail(client, got ? strerror(errno) : "closed before an answer");
        return;
    }
    client->answer_length += (size_t)got;
    client->answer[client->answer_length] = 0;
    const char *end = strstr(client->answer, "\r\n\r\n");
    if (!end) {
        if (client->answer_length == ANSWER_BYTES - 1)
            fail(client, "a head without an end");
    } else if (!accepted(client)) {
        fail(client, "refused");
    } else if (client->state == ASKING) {
        read_answer_head(client, end + 4);
    } else if (end[4]) {
        fail(client, "bytes behind the answer to CONNECT");
    } else if (plan.mode == HOLD) {
        client->state = HELD;
        done++;
    } else {
        ask(client);
    }
}

static void read_body(struct client *client) {
    ssize_t got = channel_recv(&client->channel, block, sizeof block);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got == 0 && client->until_close) {
        client->keep = false;
        complete(client);
        return;
    }
    if (got <= 0 || (uint64_t)got > client->body_left) {
        fail(client, got < 0 ? strerror(errno) : got ? "more than the answer" : "a cut body");
        return;
    }
    client->body_left -= (uint64_t)got;
    moved += (uint64_t)got;
    if (!client->body_left)
        complete(client);
}

/* The connection stands, TLS too if there is to be any. */
static void connected(struct client *client) {
    if (plan.mode == GET || plan.host) {
        ask(client);
        return;
    }
    client->state = OPENING;
    if (!send_whole(client, plan.connect_head, plan.connect_length))
        fail(client, "the CONNECT could not be written");
    else
        interest(client, false);
}

static void go_on_shaking(struct client *client) {
    enum handshake now = shake(&client->channel);
    if (now == SHAKEN)
        connected(client);
    else if (now == NOT_SHAKEN)
        fail(client, "no handshake");
    else
        interest(client, now == WANTS_WRITABLE);
}

static void on_event(struct client *client) {
    switch (client->state) {
    case CONNECTING:
        if (connect_outcome(client->channel.descriptor)) {
            fail(client, "the proxy does not accept");
            return;
        }
        if (!plan.tls) {
            connected(client);
            break;
        }
        client->state = SHAKING;
        begin_tls(&client->channel, plan.host);
        go_on_shaking(client);
        break;
    case SHAKING:
        go_on_shaking(client);
        break;
    case OPENING:
        read_head(client);
        break;
    case ASKING:
        do {
            if (client->body_known)
                read_body(client);
            else
                read_head(client);
        } while (client->state == ASKING && client->body_left && channel_pending(&client->channel));
        break;
    case UPLOADING:
        write_upload(client);
        break;
    case HELD:
        fail(client, "what was idle did not stay idle");
        break;
    case UNUSED:
        break;
    }
    /* A kept connection goes on with its next request. */
    if (plan.mode == GET && client->state == ASKING && client->body_known && !client->body_left)
        ask(client);
}

static int by_value(const void *left, const void *right) {
    float difference = *(const float *)left - *(const float *)right;
    return difference < 0 ? -1 : difference > 0;
}

static void report(double seconds) {
    double p50 = 0, p99 = 0;
    if (plan.mode != HOLD && done) {
        qsort(latencies, done, sizeof *latencies, by_value);
        p50 = (double)latencies[done / 2];
        p99 = (double)latencies[(uint64_t)((double)(done - 1) * 0.99)];
    }
    printf("{\"done\": %llu, \"failed\": %llu, \"seconds\": %.6f, \"bytes\": %llu, \"connections\": %llu, "
           "\"p50_us\": %.1f, \"p99_us\": %.1f}\n",
           (unsigned long long)done, (unsigned long long)failed, seconds, (unsigned long long)moved,
           (unsigned long long)connections, p50, p99);
    fflush(stdout);
}

int main(int argument_count, char **arguments) {
    read_plan(&plan, argument_count, arguments);
    prepare_process();
    if (plan.tls)
        prepare_tls();
    struct client *clients = calloc(plan.mode == HOLD ? plan.count : plan.concurrency, sizeof *clients);
    latencies = calloc(plan.count, sizeof *latencies);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!clients || !latencies || epoll < 0)
        die("out of memory");
    double began = monotonic();
    for (uint64_t index = 0; index < plan.concurrency; index++)
        next_unit(&clients[index]);
    while (done + failed < plan.count) {
        double left = began + (double)plan.deadline - monotonic();
        if (left <= 0)
            die("%llu of %llu were done at the deadline", (unsigned long long)done, (unsigned long long)plan.count);
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, (int)(left * 1000) + 1);
        for (int index = 0; index < ready; index++)
            on_event(events[index].data.ptr);
        while (plan.mode == HOLD && begun < plan.count && begun - done - failed < plan.concurrency)
            next_unit(&clients[begun]);
    }
    report(monotonic() - began);
    if (plan.mode == HOLD) {
        while (read(STDIN_FILENO, block, 1) > 0)
            continue;
    }
    free(latencies);
    free(clients);
    return failed ? 1 : 0;
}
