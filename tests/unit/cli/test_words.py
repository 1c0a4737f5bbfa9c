import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyswarm.cli.words import capitalised, duration_in_words, ellipsis, familiar, go_time, natural, seconds_of, tagged

HOUR = 3600
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "Less than a second"),
        (0.9, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (59 * 60 + 59, "59 minutes"),
        (HOUR, "About an hour"),
        (1.5 * HOUR, "2 hours"),
        (47 * HOUR, "47 hours"),
        (2 * DAY, "2 days"),
        (13 * DAY, "13 days"),
        (14 * DAY, "2 weeks"),
        (59 * DAY, "8 weeks"),
        (60 * DAY, "2 months"),
        (729 * DAY, "24 months"),
        (730 * DAY, "2 years"),
    ],
)
def test_a_duration_is_said_as_docker_says_it(seconds, text):
    assert duration_in_words(seconds) == text


def test_times_are_read_and_shown_to_the_nanosecond():
    assert go_time("2026-11-21T07:06:22.478174079Z") == "2026-11-21 07:06:22.478174079 +0000 UTC"
    assert go_time("2026-11-21T07:06:20Z") == "2026-11-21 07:06:20 +0000 UTC"
    assert go_time("2026-11-21T09:06:20.50+02:00") == "2026-11-21 07:06:20.5 +0000 UTC"
    assert seconds_of("1970-01-01T00:00:01.5Z") == 1.5
    assert seconds_of("nonsense") == 0


def test_names_are_in_natural_order():
    assert sorted(["web.10", "web.2", "web.1", "api"], key=natural) == ["api", "web.1", "web.2", "web.10"]


@given(st.text(), st.integers(2, 40))
def test_an_ellipsis_is_never_longer_than_its_limit(text, limit):
    shown = ellipsis(text, limit)
    assert len(shown) <= limit
    assert shown == text or (shown.endswith("…") and text.startswith(shown[:-1]))


def test_states_and_images():
    assert (capitalised("rEADY"), capitalised("")) == ("Ready", "")
    assert familiar("docker.io/library/busybox:1@sha256:abc") == "busybox:1"
    assert familiar("host:5000/busybox@sha256:abc") == "host:5000/busybox@sha256:abc"
    assert tagged("docker.io/library/busybox") == "busybox:latest"
    assert tagged("host:5000/busybox") == "host:5000/busybox:latest"
    assert [tagged(image) for image in ("busybox:1", "a/b@sha256:c")] == ["busybox:1", "a/b@sha256:c"]
