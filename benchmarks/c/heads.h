/* The heads that the load sends. */
#ifndef ALUVIA_BENCHMARKS_HEADS_H
#define ALUVIA_BENCHMARKS_HEADS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fields { HOST_ALONE, SMALL, BROWSER };

/* What a request is to say. */
struct asked {
    const char *authority; /* for Host */
    bool absolute;         /* as a forward proxy is asked: the authority is in the target too */
    enum fields fields;
    bool changing;  /* the origin is to answer with a head of which no two are the same */
    bool numbered;  /* four digits and a point stand before the authority, see number_host */
    uint64_t bytes; /* of the body; 0 for the origin's small answer */
    bool upload;    /* the body is the request's */
};

/* `127.x.y.z:port`. */
void write_authority(char *authority, size_t size, const struct sockaddr_in *address);

/* Write the head, and a zero byte behind it; its length. */
size_t write_connect(char *head, size_t size, const char *authority);
size_t write_request(char *head, size_t size, const struct asked *asked);

/* Give a browser's head a session of its own. */
void change_session(char *head);

/* Ask a numbered head's host number `host`, of at most 9999. */
void number_host(char *head, unsigned host);

#endif
