"""
Users with passwords (RFC 7617).

.. code-block:: text

    Authorization                                      answer
    -------------------------------------------------  ---------------------------------------------
    none, or of another scheme                         401, with a challenge
    two of them, no base64, no colon, no UTF-8, a      the same: RFC 7617 has no other for it, and a
    control character, a password that is too long     browser asks its user again
    a user that there is not, or another password      the same
    right                                              the request goes on
    too much is being verified                         503, with Retry-After

The first ``:`` ends the name; whatever comes behind it is the password, colons and all.

The field was for us, so the backend does not get it. It gets the user's name, in
``X-Forwarded-User``, as UTF-8; a client's own field of that name goes nowhere.

A user that there is not costs as much time as one that there is: their password is compared with
the hash of somebody else, who is always the same for one name.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import re
import secrets
import typing
import unicodedata

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from aluvia.edge.auth_fields import names_of_ours
from aluvia.edge.hashing_threads import NoThread, Threads
from aluvia.edge.model import BasicProvider
from aluvia.edge.password_hashes import (
    BLOCK_SIZE,
    DIGEST_BYTES,
    LN,
    PARALLEL,
    SALT_BYTES,
    PasswordHash,
    password_bytes,
    read_hash,
)
from aluvia.edge.verdicts import RETRY_SOON, Admitted, Asked, Denied, Verdict, denied
from aluvia.edge.verifications import Verifications
from aluvia.telemetry.told_once import ToldOnce
from aluvia.wire.headers import Field

__all__ = [
    "AUTHORIZATION",
    "USER",
    "BasicAuthenticator",
    "BasicCredentials",
    "basic_credentials",
    "is_user_name",
    "quoted",
]

_log = Logger()

#: Where a backend finds who asks.
USER = "X-Forwarded-User"
AUTHORIZATION = "Authorization"

#: The longest name of a user; bytes of UTF-8.
USER_BYTES = 512

_basic = re.compile(rb"basic +([A-Za-z0-9+/]+={0,2})", re.IGNORECASE).fullmatch
_control = re.compile(r"[\x00-\x1f\x7f-\x9f]").search
_unspeakable = re.compile(r"[^ -~]")

#: A name, and a password as :func:`~aluvia.edge.password_hashes.password_bytes` gives it.
BasicCredentials = tuple[str, bytes]


class BasicAuthenticator:
    """
    Asks for a user and a password.

    :param threads: verify passwords; they are not ended by us.
    :raises ValueError: a user's name or hash is none; the text names the user.
    """

    removed = names_of_ours([AUTHORIZATION, USER])

    def __init__(
        self,
        provider: BasicProvider,
        clock: IReactorTime,
        threads: Threads,
        *,
        log: Logger = _log,
    ) -> None:
        self._id = provider.id
        self._users = _read_users(provider.users)
        # Somebody has to be compared with.
        self._others = list(self._users.values()) or [_nobody()]
        self._challenge: Field = (
            b"WWW-Authenticate",
            b'Basic realm=%b, charset="UTF-8"' % quoted(provider.realm),
        )
        self._secret = secrets.token_bytes(32)
        self._verifications = Verifications(clock, threads)
        self._told = ToldOnce(clock)
        self._log = log
        self._stopped = False

    def ask(self, asked: Asked) -> Verdict | Deferred[Verdict]:
        """Judge the credentials; at once where they are known."""
        if self._stopped:
            return _busy()
        values = [value for name, value in asked.head.fields if name.lower() == b"authorization"]
        if not values:
            return self._refused("A user name and a password are needed.")
        credentials = basic_credentials(values)
        if credentials is None:
            return self._refused("Those are no Basic credentials in UTF-8.")
        user, password = credentials
        raw_user = user.encode("utf-8")
        key = self._digest(b"%d:%b%b" % (len(raw_user), raw_user, password))
        right = self._verifications.known(key)
        if right is not None:
            return self._judged(right, user)
        known = self._users.get(user)
        compared = self._other(raw_user) if known is None else known
        check = functools.partial(_check, compared, password, known is not None)
        waiting = self._verifications.verify(key, asked.client_address, check)
        return waiting.addCallbacks(self._judged, self._failed, callbackArgs=(user,))

    def stop(self, *, finish: bool = False) -> Deferred[None]:
        """Forget who was right. What is being verified comes to its end, or ends with the
        threads."""
        self._stopped = True
        self._verifications.forget()
        return succeed(None)

    def _judged(self, right: bool, user: str) -> Verdict:
        if right:
            return Admitted(((USER.encode("ascii"), user.encode("utf-8")),))
        return self._refused("The user name or the password is not right.")

    def _refused(self, detail: str) -> Denied:
        return denied(401, "http_request_denied", detail, [self._challenge])

    def _failed(self, failure: Failure) -> Verdict | Failure:
        if failure.check(CancelledError):
            return failure
        if failure.check(NoThread):
            if self._told.is_new("busy"):
                self._log.warn(
                    "The provider {provider} verifies no more passwords for now: {why}",
                    provider=self._id,
                    why=str(failure.value),
                )
            return _busy()
        if self._told.is_new(str(failure.type)):
            self._log.failure(
                "A password could not be verified by the provider {provider}",
                failure=failure,
                provider=self._id,
            )
        return denied(500, "proxy_internal_error", "The password could not be verified.")

    def _other(self, raw_user: bytes) -> PasswordHash:
        number = int.from_bytes(self._digest(raw_user)[:8], "big")
        return self._others[number % len(self._others)]

    def _digest(self, data: bytes) -> bytes:
        return hmac.digest(self._secret, data, hashlib.sha256)


def basic_credentials(values: typing.Sequence[bytes]) -> BasicCredentials | None:
    """
    Read the values of ``Authorization``; None if that is not one user and one password.

    The name is in NFC, so that it is the same however its characters are composed.
    """
    found = _basic(values[0].strip(b" \t")) if len(values) == 1 else None
    if found is None:
        return None
    try:
        user, colon, password = base64.b64decode(found[1], validate=True).partition(b":")
        name = unicodedata.normalize("NFC", user.decode("utf-8"))
        raw = password_bytes(password.decode("utf-8"))
    except (ValueError, binascii.Error):
        return None
    if not colon or not is_user_name(name):
        return None
    return name, raw


def is_user_name(name: str) -> bool:
    """
    Whether a user can be called that: no ``:``, which would end the name, no control character, and
    no white space around it, which a field would lose.
    """
    try:
        length = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        return False
    return (
        0 < length <= USER_BYTES
        and ":" not in name
        and name == name.strip()
        and _control(name) is None
    )


def quoted(realm: str) -> bytes:
    """A realm as a quoted string, whose value is the same in every reading of it."""
    speakable = _unspeakable.sub("?", realm)
    return '"{}"'.format(speakable.replace("\\", "\\\\").replace('"', '\\"')).encode("ascii")


def _check(compared: PasswordHash, password: bytes, is_theirs: bool) -> bool:
    """Runs in a thread."""
    return compared.fits(password) and is_theirs


def _busy() -> Denied:
    return denied(
        503, "proxy_internal_response", "Too many passwords are being verified.", RETRY_SOON
    )


def _read_users(users: typing.Iterable[tuple[str, str]]) -> dict[str, PasswordHash]:
    read: dict[str, PasswordHash] = {}
    for name, text in users:
        normal = unicodedata.normalize("NFC", name)
        if not is_user_name(normal):
            raise ValueError(f"{name!r} is no name of a user.")
        if normal in read:
            raise ValueError(f"The user {name!r} is there twice.")
        try:
            read[normal] = read_hash(text)
        except ValueError as error:
            raise ValueError(f"The hash of {name!r} is none: {error}") from None
    return read


def _nobody() -> PasswordHash:
    return PasswordHash(
        LN, BLOCK_SIZE, PARALLEL, secrets.token_bytes(SALT_BYTES), secrets.token_bytes(DIGEST_BYTES)
    )
