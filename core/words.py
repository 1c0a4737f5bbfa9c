"""Words that go with numbers."""


def agreeing(number: float, noun: str) -> str:
    """`noun` as it stands after `number`: 1 task, 2 tasks, 0.5 CPUs, 0 nodes."""
    return noun if number == 1 else f"{noun}s"
