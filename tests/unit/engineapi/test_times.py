import pytest

from pyswarm.engineapi.wire.times import show_log_time, show_time


@pytest.mark.parametrize(
    ("nanoseconds", "shown"),
    [
        (0, "0001-01-01T00:00:00Z"),
        (1_795_244_780_456_375_310, "2026-11-21T07:06:20.45637531Z"),
        (1_795_244_780_000_000_000, "2026-11-21T07:06:20Z"),
        (1_795_244_780_000_000_001, "2026-11-21T07:06:20.000000001Z"),
        (2**63 - 1, "2262-04-11T23:47:16.854775807Z"),
    ],
)
def test_times_have_as_few_digits_as_say_it_all(nanoseconds, shown):
    assert show_time(nanoseconds) == shown


def test_log_times_always_have_nine_digits():
    assert show_log_time(1_795_244_780_456_375_310) == "2026-11-21T07:06:20.456375310Z"
    assert show_log_time(1_795_244_780_000_000_000) == "2026-11-21T07:06:20.000000000Z"
