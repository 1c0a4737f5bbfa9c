import pytest

from pyswarm.dev.lab import LabConfig
from pyswarm.dev.shell import LabError


def test_the_environment_names_a_second_set_of_hosts(monkeypatch):
    monkeypatch.setenv("PYSWARM_DEV_NAME", "second")
    monkeypatch.setenv("PYSWARM_DEV_SUBNET", "10.213.88.0/24")
    config = LabConfig.from_environment()
    assert (config.name, str(config.subnet)) == ("second", "10.213.88.0/24")


@pytest.mark.parametrize("subnet", ["", "foo", "10.213.88.1/24", "10.213.88.0/30", "fd00::/64"])
def test_a_subnet_that_cannot_hold_the_hosts_is_refused_with_one_that_can(monkeypatch, subnet):
    monkeypatch.setenv("PYSWARM_DEV_SUBNET", subnet)
    with pytest.raises(LabError, match=r"PYSWARM_DEV_SUBNET is '.*': use a network like 10\.213\.77\.0/24"):
        LabConfig.from_environment()
