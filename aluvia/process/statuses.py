"""
What a process of ours exits with when something is wrong; ``docs/reference/exit-statuses.rst`` says
it to users.

.. code-block:: text

    status              what is wrong                                      as
    ------------------  -------------------------------------------------  ----------
     64 USAGE           a command line or a variable; a call               sysexits.h
     65 DATA            what was asked for is there already, or is not     sysexits.h
     69 UNAVAILABLE     whoever should have answered did not, or not well  sysexits.h
     70 SOFTWARE        a fault of our own                                 sysexits.h
     73 CANNOT_CREATE   a port cannot be bound, or a file not be written   sysexits.h
     77 NO_PERMISSION   a token, or credentials, that are refused          sysexits.h
     78 CONFIG          a file                                             sysexits.h
    126 NOT_EXECUTABLE  the command of ``aluvia run`` cannot be executed   a shell's
    127 NOT_FOUND       there is no such command                           a shell's
    130 INTERRUPTED     ended by SIGINT                                    a shell's
    141 BROKEN_PIPE     nobody reads what is said                          a shell's

This module imports nothing: it is for those too who have no use for Twisted.
"""

from __future__ import annotations

USAGE = 64
DATA = 65
UNAVAILABLE = 69
SOFTWARE = 70
CANNOT_CREATE = 73
NO_PERMISSION = 77
CONFIG = 78

NOT_EXECUTABLE = 126
NOT_FOUND = 127
INTERRUPTED = 130
BROKEN_PIPE = 141
