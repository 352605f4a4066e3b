"""Tests for :mod:`aluvia.telemetry.twistd_log`."""

from __future__ import annotations

import io
import os
import signal
import sys
import syslog
import typing

from twisted.application import app
from twisted.application.service import Application, IService, MultiService, Service
from twisted.logger import ILogObserver
from twisted.python.logfile import LogFile
from twisted.trial.unittest import SynchronousTestCase

from aluvia.telemetry.logs import make_observer
from aluvia.telemetry.redaction import Redactor
from aluvia.telemetry.twistd_log import Syslog, WithOwnLog, log_stream


class WithOwnLogTests(SynchronousTestCase):
    """The service that brings its log along."""

    def setUp(self) -> None:
        """A log in memory."""
        self.observer = make_observer("info", "text", io.StringIO(), Redactor())

    def test_twistd_finds_it(self) -> None:
        """Where twistd looks for the application's observer, it finds ours."""
        application = Application("x")
        WithOwnLog(Service(), self.observer).setServiceParent(application)
        self.assertIs(self.observer, application.getComponent(ILogObserver))
        # The order in which twistd chooses is the reason for all this.
        chosen: list[object] = []
        beginner = type("Beginner", (), {"beginLoggingTo": lambda self, o: chosen.extend(o)})()
        whoever_logs: typing.Any = app
        self.patch(whoever_logs.logger, "globalLogBeginner", beginner)
        app_logger = app.AppLogger({"logfile": "somewhere"})
        self.patch(app_logger, "_initialLog", lambda: None)
        app_logger.start(application)
        self.assertEqual([self.observer], chosen)

    def test_runs_the_service(self) -> None:
        """The door's service starts and stops with the application."""
        service = Service()
        application = Application("x")
        WithOwnLog(service, self.observer).setServiceParent(application)
        IService(application).privilegedStartService()
        IService(application).startService()
        self.assertTrue(service.running)
        IService(application).stopService()
        self.assertFalse(service.running)

    def test_inside_another_service(self) -> None:
        """Below something that is no application it is a service like others."""
        parent = MultiService()
        WithOwnLog(Service(), self.observer).setServiceParent(parent)
        self.assertEqual(1, len(parent.services))


class LogStreamTests(SynchronousTestCase):
    """Where the log goes, by twistd's own options."""

    def setUp(self) -> None:
        """Leave the signal as it was."""
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.getsignal(signal.SIGUSR1))
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        self.calls: list[typing.Callable[[], object]] = []

    def stream(self, **options: object) -> typing.Any:
        """The stream for these options."""
        return log_stream(options, self.calls.append)

    def test_standard_output(self) -> None:
        """In the foreground, without a file, or with ``-``."""
        self.assertIs(sys.stdout, self.stream(nodaemon=1, logfile=None))
        self.assertIs(sys.stdout, self.stream(nodaemon=1, logfile="-"))
        self.assertIs(sys.stdout, self.stream(nodaemon=0, debug=True, logfile="-"))

    def test_a_daemon_has_no_standard_output(self) -> None:
        """twistd refuses it, and so do we."""
        error = self.assertRaises(SystemExit, self.stream, nodaemon=0, logfile="-")
        self.assertIn("stdout", str(error.code))

    def test_a_file(self) -> None:
        """``--logfile`` is honoured, and SIGUSR1 rotates it between two events."""
        path = self.mktemp()
        stream = self.stream(nodaemon=1, logfile=path)
        self.addCleanup(stream.close)
        observer = make_observer("info", "text", stream, Redactor())
        observer({"log_format": "caf\xe9"})
        os.kill(os.getpid(), signal.SIGUSR1)
        self.assertEqual(1, len(self.calls))
        self.calls.pop()()
        observer({"log_format": "second"})
        with (
            open(path + ".1", encoding="utf-8") as rotated,
            open(path, encoding="utf-8") as current,
        ):
            self.assertIn("caf\xe9", rotated.read())
            self.assertIn("second", current.read())

    def test_the_signal_may_be_taken(self) -> None:
        """Somebody else's SIGUSR1 is left alone."""
        mine = lambda number, frame: None  # noqa: E731
        signal.signal(signal.SIGUSR1, mine)
        self.addCleanup(self.stream(nodaemon=1, logfile=self.mktemp()).close)
        self.assertIs(mine, signal.getsignal(signal.SIGUSR1))

    def test_a_daemon(self) -> None:
        """Without a name, a daemon's log is ``twistd.log``."""
        asked: list[str] = []
        self.patch(LogFile, "fromFullPath", classmethod(lambda cls, name: asked.append(name)))
        self.stream(nodaemon=0, logfile=None)
        self.assertEqual(["twistd.log"], asked)

    def test_a_file_that_cannot_be(self) -> None:
        """The error is the system's; the caller says it."""
        self.assertRaises(OSError, self.stream, nodaemon=1, logfile="/nonexistent/x.log")

    def test_syslog(self) -> None:
        """``--syslog`` gets one record for each physical line."""
        opened: list[object] = []
        records: list[tuple[int, str]] = []
        self.patch(syslog, "openlog", lambda *args: opened.append(args))
        self.patch(syslog, "syslog", lambda priority, text: records.append((priority, text)))
        stream = self.stream(syslog=1, prefix="mine", nodaemon=1)
        self.assertIsInstance(stream, Syslog)
        make_observer("info", "text", stream, Redactor())({"log_format": "one"})
        stream.write("a\n\tb\n")
        self.assertEqual([("mine", syslog.LOG_PID, syslog.LOG_USER)], opened)
        self.assertIn("one", records[0][1])
        self.assertEqual(["a", "\tb"], [text for _, text in records[1:]])
