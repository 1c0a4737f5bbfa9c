"""Files that the user names."""

from pathlib import Path

from core.errors import InvalidArgument


def read_text(path: Path, what: str = "") -> str:
    """`what` it holds is told in the error. Raises InvalidArgument if it cannot be read, or is no text in UTF-8."""
    named = f"{what} from {path}" if what else path
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise InvalidArgument(f"cannot read {named}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InvalidArgument(f"cannot read {named}: it is no text in UTF-8") from None
