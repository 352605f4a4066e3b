"""
Taking secrets out of text.

A secret seldom shows up as it was typed: it is percent-encoded in a URL, base64 in a
``Proxy-Authorization``, escaped in a ``repr`` or in JSON. :func:`spellings` lists the forms in
which our own code, Twisted and the standard library would write one, and :class:`Redactor`
replaces them all in one pass of one regular expression.

Secrets that nobody told of (a gateway has a hundred thousand, and strangers send others) are known
by where they stand: behind ``Basic`` or ``Bearer``, and before the ``@`` of a URL.
:func:`without_credentials` takes those out of a finished line.

This is the second line of defence. The first is not to log secrets at all.
"""

from __future__ import annotations

import base64
import collections
import html
import json
import re
import typing
from urllib.parse import quote, quote_plus

#: What stands where a secret stood.
MARK = "[redacted]"

#: Secrets that a redactor remembers, newest first to stay: credentials that rotate for months
#: must not grow the expression without end.
REMEMBERED = 256

#: A spelling shorter than this is replaced only where it stands alone, since a password of two
#: letters would otherwise tear every word of the log apart.
STANDS_ALONE_BELOW = 8

# Standing alone: not inside a word, but right behind an escape (``%3A``, ``\n``) is outside it.
_BEFORE = r"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrt]))"
_BEHIND = r"(?![A-Za-z0-9])"

# What ends a word that might be a token. A full stop may end a sentence as well.
_WORD_ENDS = r"\.?(?![A-Za-z0-9._~+/=%-])"

# Words that people write behind the names of the schemes, and a challenge's parameter. Base64 of
# credentials is no short word in small letters, but a token may be anything.
_NO_BASIC = rf"(?!realm=\\?[\"']|[a-z]{{1,14}}{_WORD_ENDS})"
_NO_BEARER = (
    r"(?!realm=\\?[\"']|(?i:tokens?|credentials?|auth|authentication|authorization)"
    rf"{_WORD_ENDS})"
)

# In the authority of a URL, which may have been escaped for a line of text or of JSON. It stops at
# a slash, so that a line is passed over once, however many there are.
_USERINFO = r"(?:[^\s/?#\"\\]|\\[^\snrt])+(?=@)"

# Not only where a scheme's name is a word of its own: that would cost three times as much.
_BEHIND_SCHEME = r"(?:[ \t]|%20|\\t)+"

_credentials = re.compile(
    rf"((?i:basic){_BEHIND_SCHEME}){_NO_BASIC}[A-Za-z0-9+/=_%-]+"
    rf"|((?i:bearer){_BEHIND_SCHEME}){_NO_BEARER}[A-Za-z0-9._~+/=%-]+"
    rf"|(://){_USERINFO}"
)


def spellings(secret: str) -> set[str]:
    """Every form of a secret that is worth looking for."""
    raw = secret.encode("utf-8", "surrogateescape")
    encoded = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    found = {
        secret,
        raw.decode("latin-1"),
        repr(secret)[1:-1],
        repr(raw)[2:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        html.escape(secret),
    }
    for form in encoded:
        found.add(form)
        found.add(re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), form))
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        padded = encode(raw).decode("ascii")
        found.add(padded)
        found.add(padded.rstrip("="))
    found.discard("")
    return found


def without_credentials(line: str) -> str:
    """
    A finished line of text or JSON without what looks like credentials; JSON stays JSON.

    The value of ``Basic`` and ``Bearer`` goes, and in a URL the user with the password.
    """
    return _credentials.sub(lambda found: f"{found[1] or found[2] or found[3]}{MARK}", line)


class Redactor:
    """
    Replaces the secrets that it was told of, in whatever spelling.

    :param secrets: the ones that are known now; :meth:`add` takes later ones. Empty ones are
        passed over.
    """

    def __init__(self, secrets: typing.Iterable[str] = ()) -> None:
        self._secrets: collections.OrderedDict[str, None] = collections.OrderedDict()
        self._expression: re.Pattern[str] | None = None
        self.add(*secrets)

    def __repr__(self) -> str:
        return f"<Redactor of {len(self._secrets)} secrets>"

    def add(self, *secrets: str) -> None:
        """Look for these too, from now on."""
        for secret in secrets:
            if secret:
                self._secrets[secret] = None
                self._secrets.move_to_end(secret)
        while len(self._secrets) > REMEMBERED:
            self._secrets.popitem(last=False)
        self._expression = _compile(self._secrets)

    def add_credentials(self, username: str, password: str) -> None:
        """Look for a user name, a password, and the value of ``Basic`` that they make."""
        self.add(username, password, f"{username}:{password}")

    def __call__(self, text: str) -> str:
        """The text without the secrets."""
        return text if self._expression is None else self._expression.sub(MARK, text)


def _compile(secrets: typing.Iterable[str]) -> re.Pattern[str] | None:
    every: set[str] = set()
    for secret in secrets:
        every |= spellings(secret)
    if not every:
        return None
    # The longest first: a secret may be a part of another one's spelling.
    ordered = sorted(every, key=lambda form: (-len(form), form))
    return re.compile(
        "|".join(
            re.escape(form)
            if len(form) >= STANDS_ALONE_BELOW
            else f"{_BEFORE}{re.escape(form)}{_BEHIND}"
            for form in ordered
        )
    )
