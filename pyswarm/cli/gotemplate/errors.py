import click


class TemplateError(click.ClickException):
    def __init__(self, message: str) -> None:
        super().__init__(f"template parsing error: {message}")
