#include "channel.h"
#include "sockets.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static SSL_CTX *context;

static const unsigned char offered[] = "\x08http/1.1"; /* RFC 7301: a length before each name */

void prepare_tls(void) {
    context = SSL_CTX_new(TLS_client_method());
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") ||
        !SSL_CTX_set1_groups_list(context, "X25519") ||
        SSL_CTX_set_alpn_protos(context, offered, sizeof offered - 1))
        die("TLS: %s", ERR_error_string(ERR_get_error(), NULL));
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

void begin_tls(struct channel *channel, const char *name) {
    channel->tls = SSL_new(context);
    if (!channel->tls || !SSL_set_fd(channel->tls, channel->descriptor) ||
        !SSL_set_tlsext_host_name(channel->tls, name))
        die("TLS: out of memory");
    SSL_set_connect_state(channel->tls);
}

/* What a call that did not succeed wants, as an errno; 0 for an orderly end. */
static int outcome(const struct channel *channel, int result) {
    switch (SSL_get_error(channel->tls, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        return errno ? errno : ECONNRESET;
    default:
        return EPROTO;
    }
}

enum handshake shake(struct channel *channel) {
    ERR_clear_error();
    int result = SSL_do_handshake(channel->tls);
    if (result != 1) {
        int wanted = SSL_get_error(channel->tls, result);
        return wanted == SSL_ERROR_WANT_READ    ? WANTS_READABLE
               : wanted == SSL_ERROR_WANT_WRITE ? WANTS_WRITABLE
                                                : NOT_SHAKEN;
    }
    const unsigned char *chosen;
    unsigned length;
    SSL_get0_alpn_selected(channel->tls, &chosen, &length);
    bool as_wanted = length == sizeof offered - 2 && !memcmp(chosen, offered + 1, length) &&
                     SSL_version(channel->tls) == TLS1_3_VERSION && !SSL_session_reused(channel->tls);
    return as_wanted ? SHAKEN : NOT_SHAKEN;
}

static int at_most(size_t length) { return length < INT_MAX ? (int)length : INT_MAX; }

ssize_t channel_send(struct channel *channel, const void *data, size_t length) {
    if (!channel->tls)
        return send(channel->descriptor, data, length, 0);
    ERR_clear_error();
    int sent = SSL_write(channel->tls, data, at_most(length));
    if (sent > 0)
        return sent;
    errno = outcome(channel, sent);
    return -1;
}

ssize_t channel_recv(struct channel *channel, void *data, size_t length) {
    if (!channel->tls)
        return recv(channel->descriptor, data, length, 0);
    ERR_clear_error();
    errno = 0;
    int got = SSL_read(channel->tls, data, at_most(length));
    if (got > 0)
        return got;
    errno = outcome(channel, got);
    return errno ? -1 : 0;
}

bool channel_pending(const struct channel *channel) { return channel->tls && SSL_pending(channel->tls); }

void channel_close(struct channel *channel) {
    if (channel->tls) {
        if (SSL_is_init_finished(channel->tls))
            SSL_shutdown(channel->tls); /* close_notify, if there is room; the answer is not waited for */
        SSL_free(channel->tls);
        ERR_clear_error();
    }
    channel->tls = NULL;
    close(channel->descriptor);
}
