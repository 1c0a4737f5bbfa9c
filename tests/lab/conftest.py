"""Hosts for the lab tests: each module that asks for them gets fresh ones."""

from collections.abc import Iterator

import pytest

from tests.support.lab import Cluster, new_hosts


@pytest.fixture(scope="module")
def hosts() -> Iterator[Cluster]:
    """Five hosts with engines, in no cluster."""
    with new_hosts(managers=3, workers=2) as made:
        yield made


@pytest.fixture(scope="module")
def cluster(hosts: Cluster) -> Cluster:
    """Three managers and two workers."""
    hosts.form()
    return hosts
