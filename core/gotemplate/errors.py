"""What is wrong with a template."""

from core.errors import InvalidArgument

_MAX_LENGTH = 1000


class TemplateError(InvalidArgument):
    """Its reason may quote the template, but never a value: that may be a secret."""

    def __init__(self, reason: str) -> None:
        reason = reason if len(reason) <= _MAX_LENGTH else f"{reason[:_MAX_LENGTH]}..."
        super().__init__(f"template parsing error: {reason}")
        self.reason = reason


class BudgetSpent(TemplateError):
    """It may be well, but would take too much."""
