"""Hosts for the lab tests: each module that asks for them gets fresh ones."""

from collections.abc import Iterator

import pytest

from pyswarm.dev import Lab
from tests.support.lab import CONFIG, Cluster


@pytest.fixture(scope="module")
def hosts() -> Iterator[Cluster]:
    """Five hosts with engines, in no cluster."""
    lab = Lab(CONFIG)
    lab.down()
    try:
        lab.up(managers=3, workers=2)
        yield Cluster(lab)
    finally:
        lab.down()


@pytest.fixture(scope="module")
def cluster(hosts: Cluster) -> Cluster:
    """Three managers and two workers."""
    hosts.form()
    return hosts
