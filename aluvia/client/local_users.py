"""The file of ``--local-auth-file``: who may use the proxy, one ``user:password`` a line."""

from __future__ import annotations

#: More than this is no list of local users.
FILE_BYTES = 1_048_576


def parse_users(data: bytes) -> dict[str, str]:
    """
    Read the lines. White space around them does not count; blank ones, and those that begin with
    ``#``, are passed over. A password may have colons in it, a user name has none (RFC 7617
    section 2).

    :raises ValueError: with the number of the line that is wrong, and none of its text.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8") from None
    users: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        user, colon, password = entry.partition(":")
        if not colon or not user or not password:
            raise ValueError(f"line {number} is not user:password")
        if not entry.isprintable():
            # RFC 7617 section 2: neither may have control characters.
            raise ValueError(f"line {number} has a character that cannot be sent")
        if user in users:
            raise ValueError(f"line {number} has a user name that was there before")
        users[user] = password
    if not users:
        raise ValueError("has no user:password line, so that nobody could use the proxy")
    return users
