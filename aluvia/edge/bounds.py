"""How much of everything a configuration may hold. Over a bound: a fault (422), never a cut."""

from __future__ import annotations

import typing

#: Faults of one document that are told. It may have as many as it has bytes, nearly.
FAULTS: typing.Final = 100

# In all.
ROUTES: typing.Final = 10_000
CERTIFICATES: typing.Final = 10_000
PROVIDERS: typing.Final = 1_000

# Of one route.
BACKENDS: typing.Final = 1_000
HEADERS: typing.Final = 64
HEADER_VALUE_BYTES: typing.Final = 8_192
#: In ``allow``, and in ``deny``.
NETWORKS: typing.Final = 1_000
WEIGHT: typing.Final = 1_000
RETRIES: typing.Final = 100
#: Requests that run, that wait, streams; the rate of one address, and its burst.
REQUESTS: typing.Final = 1_000_000

#: Requests in a second, at least: one in a quarter of an hour.
LEAST_RATE: typing.Final = 0.001
#: One hour.
QUEUE_TIMEOUT_MS: typing.Final = 3_600_000
#: What JSON's numbers hold exactly everywhere (RFC 8259 section 6).
BODY_BYTES: typing.Final = 2**53 - 1
#: One day, for any timeout and interval.
SECONDS: typing.Final = 86_400
#: Between two probes of one backend, at least.
LEAST_INTERVAL: typing.Final = 1.0
#: Members of ``expect``.
EXPECTED: typing.Final = 100
#: ``rise`` and ``fall``.
PROBES: typing.Final = 100

# Of one provider.
USERS: typing.Final = 10_000
TOKENS: typing.Final = 10_000
#: In ``requestHeaders``, and in ``copyHeaders``.
HEADER_NAMES: typing.Final = 64
#: For an answer to whoever waits for it; seconds.
ANSWER_SECONDS: typing.Final = 300

# Characters of one text.
ID_CHARS: typing.Final = 128
HEADER_NAME_CHARS: typing.Final = 128
PATH_CHARS: typing.Final = 1_024
ENDPOINT_CHARS: typing.Final = 512
PEM_CHARS: typing.Final = 65_536
REALM_CHARS: typing.Final = 128
HASH_CHARS: typing.Final = 512
URL_CHARS: typing.Final = 2_048

#: The name of a user or a token; bytes of UTF-8.
NAME_BYTES: typing.Final = 256

#: A file that a routes file names.
FILE_NAME_CHARS: typing.Final = 4_096

#: A routes file.
ROUTES_FILE_BYTES: typing.Final = 8 * 1_048_576

#: What the API is sent.
SENT_BYTES: typing.Final = 8 * 1_048_576
#: All of it, for ``PUT /config``: ten thousand certificates with their chains are long.
CONFIG_BYTES: typing.Final = 64 * 1_048_576
