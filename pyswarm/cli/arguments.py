"""Boolean flags with a value, as Docker's flags allow: `--detach=false`, `-d=true`. Pure."""

from collections.abc import Collection, Mapping, Sequence

from core.errors import InvalidArgument

_TRUE = ("1", "t", "true")
_FALSE = ("0", "f", "false")


def settle_switches(
    arguments: Sequence[str],
    switches: Mapping[str, str],
    valued: Collection[str],
    interspersed: bool = True,
) -> list[str]:
    """`arguments` with each of `switches` that carries a value made a bare flag (true) or, if false, the flag that the
    switch is given with; where that is empty it is left out.

    As with Docker, the last one given wins. `valued` are the flags that take a value, which is passed over; `-n=5` is
    given as `-n 5`. Whatever follows `--`, or the first argument where flags may not follow it (`interspersed`), is
    left alone. Raises InvalidArgument for a value that is neither true nor false.
    """
    settled: list[str] = []
    position = 0
    while position < len(arguments):
        argument = arguments[position]
        position += 1
        if argument == "--" or (not interspersed and not _is_flag(argument)):
            return [*settled, argument, *arguments[position:]]
        name, separator, value = argument.partition("=")
        if name in switches and separator:
            settled = [before for before in settled if before != name]
            settled += filter(None, [name if truth(value, f'for "{name}" flag') else switches[name]])
        elif name in valued and separator and not name.startswith("--"):
            settled += [name, value]
        elif argument in valued:
            settled += [argument, *arguments[position : position + 1]]
            position += 1
        else:
            settled.append(argument)
    return settled


def truth(text: str, where: str) -> bool:
    """Raises InvalidArgument, which says `where`, for a text that is neither true nor false."""
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise InvalidArgument(f'invalid argument "{text}" {where}: write true or false')


def _is_flag(argument: str) -> bool:
    return len(argument) > 1 and argument.startswith("-")
