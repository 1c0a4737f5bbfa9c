from core.errors import InvalidArgument


class TemplateError(InvalidArgument):
    def __init__(self, reason: str) -> None:
        super().__init__(f"template parsing error: {reason}")
        self.reason = reason
