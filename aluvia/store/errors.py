"""What can go wrong with a store. Each text is one sentence for its user, without secrets."""

from __future__ import annotations


class StoreError(Exception):
    """The store could not do it: no such file, not our file, a full disk, another one's lock."""


class StoreInUseError(StoreError):
    """Another process works with it, and is to be the only one. Once that has ended it can be."""


class StoreFullError(StoreError):
    """There is no room on the disk. Nothing was changed."""


class StoreDamagedError(StoreError):
    """What is in the file cannot be read. The text says how to go on."""


class StoreBusyError(StoreError):
    """More waits for the store than may wait. Nothing was done; it may be tried again."""


class NotFoundError(StoreError):
    """There is no such thing in the store."""


class TakenError(StoreError):
    """There is one of this name already."""


class BadNameError(StoreError):
    """That cannot be a name."""


class RevisionConflictError(StoreError):
    """It was changed by somebody else meanwhile, and has not been changed by us."""
