/* One connection of the load's as it reads and writes it: a socket in the clear, or TLS above it. */
#ifndef ALUVIA_BENCHMARKS_CHANNEL_H
#define ALUVIA_BENCHMARKS_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct ssl_st SSL;

struct channel {
    int descriptor;
    SSL *tls; /* NULL in the clear */
};

enum handshake { SHAKEN, WANTS_READABLE, WANTS_WRITABLE, NOT_SHAKEN };

/* From here on channels are TLS 1.3 with one cipher and one group, the same for every server, and offer
 * `http/1.1`. Certificates are not verified: it is the server that is measured. */
void prepare_tls(void);

/* Make a client of TLS of a connected socket, with this name as its SNI. It has no session to resume, so
 * the handshake is a full one. */
void begin_tls(struct channel *channel, const char *name);

/* Go on with the handshake; it counts as shaken only with TLS 1.3, `http/1.1` and nothing resumed. */
enum handshake shake(struct channel *channel);

/* As send(2) and recv(2), without flags: -1 with EAGAIN where the socket is not ready. */
ssize_t channel_send(struct channel *channel, const void *data, size_t length);
ssize_t channel_recv(struct channel *channel, void *data, size_t length);

/* Whether bytes wait above the socket, of which epoll does not know. */
bool channel_pending(const struct channel *channel);

/* Say goodbye where TLS wants that, and close. */
void channel_close(struct channel *channel);

#endif
