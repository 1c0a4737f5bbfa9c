"""Structured logs on standard error: one event a line, for people or as JSON. Secrets are never given to a logger."""

import logging
import sys
import threading
from types import TracebackType
from typing import Literal

import structlog

Format = Literal["human", "json"]


def configure(format: Format = "human", level: str = "info") -> None:
    """Once, when the process starts. What libraries log, warnings and exceptions that nobody caught are events too."""
    timestamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if format == "human":
        # Plain: the default shows every local variable beside the traceback, keys and tokens among them.
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            timestamp,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Foreign(logging.WARNING)], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
    _take_the_uncaught()


def logger(room: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose events carry `room`, the package that speaks."""
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger(room=room)
    return bound


class _Foreign(logging.Handler):
    """What a library logs, from warnings on: nobody has looked for secrets in what it says below that."""

    def emit(self, record: logging.LogRecord) -> None:
        level = logging.ERROR if record.levelno >= logging.ERROR else logging.WARNING
        logger(record.name).log(level, record.getMessage().strip(), exc_info=record.exc_info)


def _take_the_uncaught() -> None:
    python = logger("python")

    def in_main(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        python.critical("uncaught exception", exc_info=(kind, error, trace))

    def in_thread(failure: threading.ExceptHookArgs) -> None:
        if failure.exc_value is not None:
            python.critical("uncaught exception in a thread", exc_info=failure.exc_value)

    def in_destructor(ignored: "sys.UnraisableHookArgs") -> None:
        python.error(ignored.err_msg or "exception ignored", exc_info=ignored.exc_value)

    sys.excepthook = in_main
    threading.excepthook = in_thread
    sys.unraisablehook = in_destructor
