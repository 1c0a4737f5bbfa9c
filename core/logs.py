"""Structured logs on standard error: one event a line, for people or as JSON. Secrets are never given to a logger."""

import logging
import sys
from typing import Literal

import structlog

Format = Literal["human", "json"]


def configure(format: Format = "human", level: str = "info") -> None:
    """Once, when the process starts."""
    timestamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if format == "human":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
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


def logger(room: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose events carry `room`, the package that speaks."""
    bound: structlog.typing.FilteringBoundLogger = structlog.get_logger(room=room)
    return bound
