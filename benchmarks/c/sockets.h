/* What the origin, the load and the relay share: loopback TCP sockets without blocking, fields of
 * heads, arguments and the clock. Every address is in 127.0.0.0/8 or it is refused: these programs
 * measure one machine and must never load another. */
#ifndef ALUVIA_BENCHMARKS_SOCKETS_H
#define ALUVIA_BENCHMARKS_SOCKETS_H

#include <netinet/in.h>
#include <stdint.h>
#include <stdnoreturn.h>

/* Print one line to standard error and exit with status 1. */
noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Seconds of the monotonic clock. */
double monotonic(void);

/* An unsigned decimal argument between `least` and `most`, or the program ends. */
uint64_t number(const char *name, const char *text, uint64_t least, uint64_t most);

/* Read `127.x.y.z:port` of `length` bytes. 0, or -1 for anything else, a name or another address. */
int loopback_address(const char *text, size_t length, struct sockaddr_in *address);

/* A listening socket on 127.0.0.1; port 0 lets the system choose. Prints `port N` when it is ready. */
int listen_loopback(uint16_t port);

/* Accept one connection, TCP_NODELAY set. -1 when there is none. */
int accept_connection(int listener);

/* Begin to connect. -1 with errno set on a failure that shows at once. */
int begin_connect(const struct sockaddr_in *address);

/* The outcome of a connect that has become writable: 0 or an errno. */
int connect_outcome(int descriptor);

/* The value of the first such field, to the end of everything, or NULL. The head has its final empty
 * line and a zero byte behind it. */
const char *field(const char *head, const char *name);

/* Add to, or change in, an epoll set; a failure ends the program. */
void watch(int epoll, int operation, int descriptor, uint32_t events, void *owner);

/* Take the hard limit of descriptors, and ignore SIGPIPE. */
void prepare_process(void);

#endif
