import click
import pytest

from pyswarm.cli.moments import parse_moment


def test_since_is_a_time_a_duration_or_seconds():
    assert parse_moment("since", "", 100) == ""
    assert parse_moment("since", "1.5", 100) == "1.5"
    assert parse_moment("since", "1m30s", 100) == "10.000000000"
    assert parse_moment("since", "1970-01-01T00:01:00Z", 0) == "60.000000000"
    assert parse_moment("since", "1970-01-01T01:01:00+01:00", 0) == "60.000000000"
    assert parse_moment("since", "1000h", 100) == "0.000000000"
    with pytest.raises(click.ClickException, match="write it like 2013-01-02T13:23:37Z or 42m"):
        parse_moment("since", "yesterday", 0)
