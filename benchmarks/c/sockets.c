#define _GNU_SOURCE
#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

noreturn void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

double monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

uint64_t number(const char *name, const char *text, uint64_t least, uint64_t most) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || value < least || value > most)
        die("%s: a number between %llu and %llu is wanted, not %s", name, (unsigned long long)least,
            (unsigned long long)most, text);
    return value;
}

int loopback_address(const char *text, size_t length, struct sockaddr_in *address) {
    char copy[32];
    if (length >= sizeof copy)
        return -1;
    memcpy(copy, text, length);
    copy[length] = 0;
    char *colon = strchr(copy, ':');
    if (!colon)
        return -1;
    *colon = 0;
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (end == colon + 1 || *end || port < 1 || port > 65535)
        return -1;
    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, copy, &address->sin_addr) != 1)
        return -1;
    return (ntohl(address->sin_addr.s_addr) >> 24) == 127 ? 0 : -1;
}

static void without_delay(int descriptor) {
    int one = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

int listen_loopback(uint16_t port) {
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        die("socket: %s", strerror(errno));
    int one = 1;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(descriptor, (struct sockaddr *)&address, size) || listen(descriptor, 4096) ||
        getsockname(descriptor, (struct sockaddr *)&address, &size))
        die("port %u: %s", port, strerror(errno));
    printf("port %u\n", ntohs(address.sin_port));
    fflush(stdout);
    return descriptor;
}

int accept_connection(int listener) {
    int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0)
        without_delay(descriptor);
    else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
        die("accept: %s", strerror(errno));
    return descriptor;
}

int begin_connect(const struct sockaddr_in *address) {
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return -1;
    without_delay(descriptor);
    if (connect(descriptor, (const struct sockaddr *)address, sizeof *address) && errno != EINPROGRESS) {
        int reason = errno;
        close(descriptor);
        errno = reason;
        return -1;
    }
    return descriptor;
}

int connect_outcome(int descriptor) {
    int reason = 0;
    socklen_t size = sizeof reason;
    return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &reason, &size) ? errno : reason;
}

const char *field(const char *head, const char *name) {
    size_t length = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line && line[2] != '\r'; line = strstr(line + 2, "\r\n"))
        if (!strncasecmp(line + 2, name, length) && line[2 + length] == ':')
            return line + 3 + length + strspn(line + 3 + length, " \t");
    return NULL;
}

void watch(int epoll, int operation, int descriptor, uint32_t events, void *owner) {
    struct epoll_event event = {.events = events, .data.ptr = owner};
    if (epoll_ctl(epoll, operation, descriptor, &event))
        die("epoll_ctl: %s", strerror(errno));
}

void prepare_process(void) {
    struct rlimit limit;
    if (!getrlimit(RLIMIT_NOFILE, &limit)) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    signal(SIGPIPE, SIG_IGN);
}
