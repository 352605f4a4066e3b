"""
Making twistd's log ours, from its first line.

``twistd`` chooses its observer in ``AppLogger.start``: the factory that ``--logger`` names, else
the :class:`~twisted.logger.ILogObserver` component of the application, else a text observer for
``--logfile``, ``--syslog`` or standard output. A plugin sees the application only once, and early
enough: ``twistd`` calls ``makeService``, makes an ``Application``, and calls our
``setServiceParent`` with it, all before ``AppLogger.start``. So :class:`WithOwnLog` sets the
component there. What was logged before is held by Twisted and replayed through our observer;
what is printed later, and warnings, come through it as well.

Rejected: swapping observers in ``privilegedStartService`` (the first lines are out by then, not
redacted and in another format), and setting ``--logger`` from our options (twistd has no promise
that its options may be changed by a plugin).

A component makes twistd forget ``--logfile`` and ``--syslog``, so :func:`log_stream` does what they
ask, in the way twistd does it. ``--logger`` is the user's own choice, and stands above ours.
"""

from __future__ import annotations

import signal
import sys
import syslog
import typing

from twisted.application.service import IService, IServiceCollection, MultiService
from twisted.logger import ILogObserver
from twisted.python.components import Componentized
from twisted.python.logfile import LogFile

from aluvia.telemetry.logs import Stream


class WithOwnLog(MultiService):
    """
    What a ``makeService`` returns: a door's service, and the log that goes with it.

    :param service: the door's.
    :param observer: becomes the log of the application that this is added to.
    """

    def __init__(self, service: IService, observer: ILogObserver) -> None:
        super().__init__()
        self.observer = observer
        service.setServiceParent(self)

    def setServiceParent(self, parent: IServiceCollection) -> None:
        """Be started with the application, and be its log."""
        if isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self.observer)
        super().setServiceParent(parent)


def log_stream(
    twistd_options: typing.Mapping[str, typing.Any],
    call_soon: typing.Callable[[typing.Callable[[], object]], object],
) -> Stream:
    """
    Where twistd's own options send the log: ``--syslog``, ``--logfile``, standard output with
    ``--nodaemon``, and ``twistd.log`` for a daemon. SIGUSR1 rotates a log file, as with twistd's.

    :param call_soon: runs a call between two events of the reactor (its ``callFromThread``): a
        signal may come in the middle of a write.
    :raises SystemExit: for a daemon whose log would be standard output; said as twistd says it.
    :raises OSError: if the log file cannot be opened.
    """
    if twistd_options.get("syslog"):
        return Syslog(twistd_options.get("prefix") or "twisted")
    name = twistd_options.get("logfile") or ""
    nodaemon = twistd_options.get("nodaemon") or twistd_options.get("debug")
    if name == "-" and not nodaemon:
        raise SystemExit("Daemons cannot log to stdout, exiting!")
    if name == "-" or (nodaemon and not name):
        return sys.stdout
    log_file: LogFile = LogFile.fromFullPath(name or "twistd.log")
    if signal.getsignal(signal.SIGUSR1) in (None, signal.SIG_DFL):
        signal.signal(signal.SIGUSR1, lambda number, frame: call_soon(log_file.rotate))
    return log_file


class Syslog:
    """
    Lines to the system's log, one record for each physical line.
    """

    encoding = "utf-8"

    def __init__(self, prefix: str) -> None:
        syslog.openlog(prefix, syslog.LOG_PID, syslog.LOG_USER)

    def write(self, text: str) -> None:
        """Log one event."""
        for line in text.rstrip("\n").split("\n"):
            syslog.syslog(syslog.LOG_INFO, line)

    def flush(self) -> None:
        """Nothing is held back."""
