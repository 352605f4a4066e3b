/* What the load is told to do: its command line, and the heads that follow from it. */
#ifndef ALUVIA_BENCHMARKS_PLAN_H
#define ALUVIA_BENCHMARKS_PLAN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mode { CONNECT, GET, BULK, HOLD };

struct plan {
    enum mode mode;
    struct sockaddr_in proxy;
    uint64_t count, concurrency, bytes;
    uint64_t deadline; /* seconds */
    const char *host;  /* of a reverse proxy; NULL for a forward proxy */
    unsigned hosts;    /* how many numbered ones are asked; 0 for the one without a number */
    bool upload;
    bool changing; /* no two requests, and no two answers, have the same head */
    bool tls;
    bool once; /* a connection for each request */
    char connect_head[256], request[4096];
    size_t connect_length, request_length;
};

/* Read the command line; the program ends where it makes no sense. */
void read_plan(struct plan *plan, int argument_count, char **arguments);

#endif
