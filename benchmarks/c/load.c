/* The client of every measurement: one thread, epoll, nothing but counting.
 *
 *     load MODE --proxy 127.0.0.1:P --origin 127.0.0.1:O [options]
 *
 *   connect  --count N --concurrency C: N tunnels, C at a time: CONNECT, its 2xx, one small GET,
 *            its answer, close
 *   get      --count N --concurrency C --head small|browser|changing: N absolute-form GETs over C connections
 *            that are kept alive where the proxy keeps them
 *   bulk     --count S --bytes B [--upload]: S tunnels at once, B bytes through each
 *   hold     --count N --concurrency C: open N tunnels and leave them idle until standard input ends
 *
 * --deadline S bounds the whole run. One JSON object goes to standard output: what was done and what
 * failed, seconds, bytes of bodies, connections made, and latencies of a unit of work in
 * microseconds (p50, p99). `hold` prints it when all are open. Status 1 when too much failed. */
#define _GNU_SOURCE
#include "sockets.h"

#include <arpa/inet.h>
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

enum { ANSWER_BYTES = 8192, EVENTS = 256, BLOCK_BYTES = 262144, FAILURES_SHOWN = 3 };

enum mode { CONNECT, GET, BULK, HOLD };
enum state { UNUSED, CONNECTING, OPENING, ASKING, UPLOADING, HELD };

struct client {
    int descriptor;
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

static enum mode mode;
static struct sockaddr_in proxy;
static char connect_head[256], request[4096];
static size_t connect_length, request_length;
static uint64_t count, concurrency = 64, bytes, begun, done, failed, moved, connections;
static bool upload;
static bool changing; /* no two requests, and no two answers, have the same head */
static int epoll;
static float *latencies;
static char block[BLOCK_BYTES];

static const char small_head[] = "User-Agent: load/1\r\nAccept: */*\r\nProxy-Connection: keep-alive\r\n";

/* With Host, the twelve fields that a browser sends to a proxy for a page. */
static const char browser_head[] =
    "Proxy-Connection: keep-alive\r\n"
    "Cache-Control: max-age=0\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,"
    "*/*;q=0.8,application/signed-exchange;v=b3;q=0.7\r\n"
    "Sec-GPC: 1\r\n"
    "Referer: http://127.0.0.1/articles/2026/01/a-page-that-was-read-before?from=index\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-GB,en-US;q=0.9,en;q=0.8,de;q=0.7\r\n"
    "Cookie: session=6f1d0c8e5b7a49d2a3c4e5f60718293a; theme=dark; consent=1~analytics.0~ads.0\r\n"
    "If-None-Match: W/\"5d8c72a5edda8\"\r\n";

static void interest(struct client *client, bool writable) {
    if (client->wants_writable == writable)
        return;
    client->wants_writable = writable;
    watch(epoll, EPOLL_CTL_MOD, client->descriptor, writable ? EPOLLOUT : EPOLLIN, client);
}

/* A head fits into an empty send buffer, or something is wrong. */
static bool send_whole(struct client *client, const char *data, size_t length) {
    return send(client->descriptor, data, length, 0) == (ssize_t)length;
}

static void hang_up(struct client *client) {
    if (client->state != UNUSED)
        close(client->descriptor);
    client->state = UNUSED;
}

static void start(struct client *client) {
    client->descriptor = begin_connect(&proxy);
    if (client->descriptor < 0)
        die("connect: %s", strerror(errno));
    connections++;
    client->state = CONNECTING;
    client->served = false;
    client->wants_writable = true;
    client->answer_length = 0;
    watch(epoll, EPOLL_CTL_ADD, client->descriptor, EPOLLOUT, client);
}

/* Take up the next unit of work, on the open connection if it is kept. */
static void next_unit(struct client *client) {
    if (begun == count) {
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
    if (failed > 20 + count / 100)
        die("too many failures");
    next_unit(client);
}

static void complete(struct client *client) {
    latencies[done++] = (float)((monotonic() - client->began) * 1e6);
    client->served = true;
    if (mode != GET || !client->keep)
        hang_up(client);
    next_unit(client);
}

/* A session of its own for each request: eight hexadecimal digits. */
static void change_request(void) {
    static unsigned asked;
    char digits[9];
    snprintf(digits, sizeof digits, "%08x", asked++);
    memcpy(strstr(request, "session=") + 8, digits, 8);
}

static void ask(struct client *client) {
    if (changing)
        change_request();
    client->state = ASKING;
    client->answer_length = 0;
    client->body_known = false;
    if (!send_whole(client, request, request_length)) {
        fail(client, "the request could not be written");
        return;
    }
    client->upload_left = upload ? bytes : 0;
    interest(client, upload);
    if (upload)
        client->state = UPLOADING;
}

static void write_upload(struct client *client) {
    while (client->upload_left) {
        size_t due = client->upload_left < BLOCK_BYTES ? (size_t)client->upload_left : BLOCK_BYTES;
        ssize_t sent = send(client->descriptor, block, due, 0);
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
    ssize_t got = recv(client->descriptor, client->answer + client->answer_length,
                       ANSWER_BYTES - 1 - client->answer_length, 0);
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
    } else if (mode == HOLD) {
        client->state = HELD;
        done++;
    } else {
        ask(client);
    }
}

static void read_body(struct client *client) {
    ssize_t got = recv(client->descriptor, block, sizeof block, 0);
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

static void on_event(struct client *client) {
    switch (client->state) {
    case CONNECTING:
        if (connect_outcome(client->descriptor)) {
            fail(client, "the proxy does not accept");
            return;
        }
        if (mode == GET) {
            ask(client);
            break;
        }
        client->state = OPENING;
        if (!send_whole(client, connect_head, connect_length))
            fail(client, "the CONNECT could not be written");
        else
            interest(client, false);
        break;
    case OPENING:
        read_head(client);
        break;
    case ASKING:
        if (client->body_known)
            read_body(client);
        else
            read_head(client);
        break;
    case UPLOADING:
        write_upload(client);
        break;
    case HELD:
        fail(client, "an idle tunnel did not stay idle");
        break;
    case UNUSED:
        break;
    }
    /* A kept connection goes on with its next request. */
    if (mode == GET && client->state == ASKING && client->body_known && !client->body_left)
        ask(client);
}

static int by_value(const void *left, const void *right) {
    float difference = *(const float *)left - *(const float *)right;
    return difference < 0 ? -1 : difference > 0;
}

static void report(double seconds) {
    double p50 = 0, p99 = 0;
    if (mode != HOLD && done) {
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

static void write_heads(const struct sockaddr_in *origin, const char *fields) {
    char host[INET_ADDRSTRLEN];
    unsigned port = ntohs(origin->sin_port);
    inet_ntop(AF_INET, &origin->sin_addr, host, sizeof host);
    connect_length = (size_t)snprintf(connect_head, sizeof connect_head,
                                      "CONNECT %s:%u HTTP/1.1\r\nHost: %s:%u\r\n\r\n", host, port, host, port);
    char line[128] = "GET /", length[64] = "";
    if (mode == GET)
        snprintf(line, sizeof line, "GET http://%s:%u/%s", host, port, changing ? "changing" : "");
    else if (mode == BULK && !upload)
        snprintf(line, sizeof line, "GET /bytes/%llu", (unsigned long long)bytes);
    else if (mode == BULK)
        snprintf(length, sizeof length, "Content-Length: %llu\r\n", (unsigned long long)bytes);
    request_length = (size_t)snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: %s:%u\r\n%s%s\r\n",
                                      upload ? "POST /" : line, host, port, mode == GET ? fields : "", length);
}

static enum mode mode_named(const char *name) {
    static const char *const names[] = {"connect", "get", "bulk", "hold"};
    for (int index = 0; name && index < 4; index++)
        if (!strcmp(name, names[index]))
            return (enum mode)index;
    die("load connect|get|bulk|hold --proxy 127.0.0.1:P --origin 127.0.0.1:O ...");
}

int main(int argument_count, char **arguments) {
    static const struct option options[] = {
        {"proxy", required_argument, NULL, 'p'},  {"origin", required_argument, NULL, 'o'},
        {"count", required_argument, NULL, 'n'},  {"concurrency", required_argument, NULL, 'c'},
        {"bytes", required_argument, NULL, 'b'},  {"head", required_argument, NULL, 'h'},
        {"upload", no_argument, NULL, 'u'},       {"deadline", required_argument, NULL, 'd'},
        {0}};
    struct sockaddr_in origin = {0};
    const char *fields = small_head;
    uint64_t deadline = 120;
    for (int option; (option = getopt_long(argument_count, arguments, "", options, NULL)) != -1;) {
        if (option == 'p' && loopback_address(optarg, strlen(optarg), &proxy))
            die("--proxy: a loopback address and port are wanted, not %s", optarg);
        else if (option == 'o' && loopback_address(optarg, strlen(optarg), &origin))
            die("--origin: a loopback address and port are wanted, not %s", optarg);
        else if (option == 'n')
            count = number("--count", optarg, 1, 10000000);
        else if (option == 'c')
            concurrency = number("--concurrency", optarg, 1, 10000);
        else if (option == 'b')
            bytes = number("--bytes", optarg, 1, 1ull << 40);
        else if (option == 'h') {
            changing = !strcmp(optarg, "changing");
            fields = changing || !strcmp(optarg, "browser") ? browser_head : small_head;
        }
        else if (option == 'u')
            upload = true;
        else if (option == 'd')
            deadline = number("--deadline", optarg, 1, 3600);
        else if (option == '?')
            return 64;
    }
    mode = mode_named(arguments[optind]);
    if (!proxy.sin_family || !origin.sin_family || !count || (mode == BULK && !bytes))
        die("--proxy, --origin, --count, and --bytes for bulk are wanted");
    prepare_process();
    write_heads(&origin, fields);
    if (mode == BULK || concurrency > count)
        concurrency = count;
    uint64_t slots = mode == HOLD ? count : concurrency;
    struct client *clients = calloc(slots, sizeof *clients);
    latencies = calloc(count, sizeof *latencies);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!clients || !latencies || epoll < 0)
        die("out of memory");
    double began = monotonic();
    for (uint64_t index = 0; index < concurrency; index++)
        next_unit(&clients[index]);
    while (done + failed < count) {
        double left = began + (double)deadline - monotonic();
        if (left <= 0)
            die("%llu of %llu were done at the deadline", (unsigned long long)done, (unsigned long long)count);
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, (int)(left * 1000) + 1);
        for (int index = 0; index < ready; index++)
            on_event(events[index].data.ptr);
        while (mode == HOLD && begun < count && begun - done - failed < concurrency)
            next_unit(&clients[begun]);
    }
    report(monotonic() - began);
    if (mode == HOLD) {
        while (read(STDIN_FILENO, block, 1) > 0)
            continue;
    }
    free(latencies);
    free(clients);
    return failed ? 1 : 0;
}
