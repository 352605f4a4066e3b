"""
The token that the REST API asks for.

.. code-block:: text

    --api-token-file     a file of the operator's; read, and otherwise left as it is
    $ALUVIA_API_TOKEN    where there is no such file
    a file of our own    where there is neither: made at the first start, beside the store, with
                         mode 0600, and read from then on. Its place is told; what is in it, never

White space around a token is nobody's. A token that could be guessed, or that no request could
bring, is refused: the API can do everything that the edge can.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import typing
from pathlib import Path

import attrs

__all__ = ["LEAST_CHARACTERS", "VARIABLE", "ApiToken", "find_token", "have_token", "place_beside"]

#: Taken out of the environment as soon as it is read, so that no child has it.
VARIABLE = "ALUVIA_API_TOKEN"

#: A token of fewer is refused.
LEAST_CHARACTERS = 16

#: A token of more is refused; see :mod:`aluvia.api.bearer`.
MOST_CHARACTERS = 1024

#: More than this is no token file.
FILE_BYTES = 8_192

#: Of a file of our own.
MODE = 0o600

#: Behind the name of the store's file.
SUFFIX = ".api-token"

#: In the working directory, for a store in memory.
WITHOUT_STORE = f"aluvia-edge{SUFFIX}"

# RFC 6750 section 2.1.
_sendable = re.compile(r"[A-Za-z0-9._~+/-]+=*").fullmatch


@attrs.frozen
class ApiToken:
    """
    The token, and where it came from.

    :ivar path: its file; None if it came from the environment.
    :ivar ours: whether the file is of our own making.
    """

    token: str = attrs.field(repr=False)
    path: Path | None = None
    ours: bool = False


def place_beside(store: Path | None) -> Path:
    """
    Where a file of our own is, absolute.

    :param store: the store's file; None for one in memory, beside which there is nothing.
    """
    if store is None:
        return Path(WITHOUT_STORE).absolute()
    return store.absolute().with_name(store.name + SUFFIX)


def find_token(file: Path | None, environ: typing.Mapping[str, str], own: Path) -> ApiToken | None:
    """
    Look for the token. Nothing is changed.

    :param file: the operator's.
    :param own: where a file of our own is, or would be.
    :return: None if there is none yet.
    :raises ValueError: it is no good; with a sentence that names its place.
    """
    if file is not None:
        return ApiToken(_read(file), file)
    given = environ.get(VARIABLE, "").strip()
    if given:
        return ApiToken(_judged(given, f"${VARIABLE}"))
    if os.path.lexists(own):
        return ApiToken(_read(own), own, ours=True)
    return None


def have_token(file: Path | None, environ: typing.MutableMapping[str, str], own: Path) -> ApiToken:
    """
    Find the token, or make one, and take the variable out of the environment.

    :raises ValueError: it is no good; with a sentence that names its place.
    :raises OSError: one cannot be made, or kept from others; with such a sentence, too.
    """
    try:
        # Two edges on one store may start at one moment.
        found = find_token(file, environ, own) or _made(own) or find_token(file, environ, own)
    finally:
        environ.pop(VARIABLE, None)
    if found is None:
        raise OSError(f"{own}: the file of the API's token comes and goes")
    if found.ours:
        _close_to_others(own)
    return found


def _made(own: Path) -> ApiToken | None:
    """Make one; None if somebody else has done so just now."""
    token = secrets.token_urlsafe(32)
    try:
        descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
    except FileExistsError:
        return None
    except OSError as error:
        raise _not_made(own, error) from None
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as written:
            written.write(f"{token}\n")
            written.flush()
            os.fsync(descriptor)
    except OSError as error:
        # Half a token would be none, at each start from now on.
        with contextlib.suppress(OSError):
            own.unlink()
        raise _not_made(own, error) from None
    return ApiToken(token, own, ours=True)


def _not_made(own: Path, error: OSError) -> OSError:
    return OSError(f"cannot make the file {own} for the API's token: {error.strerror}")


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    # What is no text has no sendable character either.
    return _judged(data.decode("latin-1").strip(), str(path))


def _judged(token: str, place: str) -> str:
    if not token:
        raise ValueError(f"{place}: there is no API token in it")
    if len(token) < LEAST_CHARACTERS:
        raise ValueError(f"{place}: an API token has {LEAST_CHARACTERS} characters or more")
    if len(token) > MOST_CHARACTERS:
        raise ValueError(f"{place}: an API token has {MOST_CHARACTERS} characters or less")
    if _sendable(token) is None:
        raise ValueError(f"{place}: the API token has a character that cannot be sent")
    return token


def _close_to_others(own: Path) -> None:
    try:
        if stat.S_IMODE(own.stat().st_mode) & ~MODE:
            own.chmod(MODE)
    except OSError as error:
        raise OSError(f"{own}: others may read it, and {error.strerror}") from None
