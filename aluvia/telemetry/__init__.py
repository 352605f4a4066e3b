"""
What an operator sees: logs without secrets, and metrics.

:mod:`~aluvia.telemetry.logs` writes lines of text or JSON, :mod:`~aluvia.telemetry.redaction` takes
the secrets out of them, and :mod:`~aluvia.telemetry.twistd_log` makes them twistd's log.
:mod:`~aluvia.telemetry.metrics` is what is counted with, and :mod:`~aluvia.telemetry.exposition`
shows it to scrapers. Nothing below a service imports anything from here.
"""
