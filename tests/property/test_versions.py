"""Secrets under whatever users do with them and their services: nothing that is needed goes, nothing else stays."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from core.errors import PyswarmError
from core.model import ContainerSpec, FileTarget, Secret, SecretReference, SecretSpec, Service, TaskState
from manager.control import dependencies
from manager.orchestrator.update_status import is_under_way
from tests.support.small_cluster import SmallCluster, spec

NAMES = st.sampled_from(["one", "two"])
SERVICES = st.sampled_from(["a", "b", "c"])


class Versions(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.cluster = SmallCluster(nodes=2)
        self.removed = False
        """Whether a secret was ever removed: what services could be rolled back to may be gone then."""
        for name in ("one", "two"):
            self.make(name)

    # -- what users do

    @rule(name=NAMES)
    def make(self, name: str) -> None:
        made = SecretSpec(name, data=name.encode())
        self.attempt(lambda tx: dependencies.create(tx, self.cluster.new_id(), made))

    @rule(name=NAMES, data=st.binary(min_size=1, max_size=1))
    def renew(self, name: str, data: bytes) -> None:
        self.attempt(lambda tx: dependencies.add_version(tx, Secret, name, data, self.cluster.new_id()))

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        used = {secret.id for secret in self.cluster.store.secrets() if secret.spec.name == name} & self.referred()
        done = self.attempt(lambda tx: dependencies.remove(tx, Secret, name))
        assert not (done and used)
        self.removed = self.removed or done

    @rule(service=SERVICES, names=st.sets(NAMES))
    def use(self, service: str, names: set[str]) -> None:
        """Makes the service, or updates it."""
        held = {secret.spec.name: secret.id for secret in self.cluster.store.secrets() if not secret.superseded_by}
        references = tuple(SecretReference(held.get(name, "none"), name, FileTarget(name)) for name in sorted(names))
        wanted = spec(2, name=service, container=ContainerSpec(image="busybox", secrets=references))
        known = self.cluster.store.service_by_name(service)
        try:
            if known is None:
                self.cluster.create(wanted)
            else:
                self.cluster.update(known.id, replace(wanted, labels={"version": str(known.spec_version)}))
        except PyswarmError:
            assert not names <= held.keys()

    @rule(service=SERVICES)
    def roll_back(self, service: str) -> None:
        known = self.cluster.store.service_by_name(service)
        if known is not None and known.previous_spec is not None:
            try:
                self.cluster.roll_back(known.id)
            except PyswarmError:
                assert self.removed

    @rule(service=SERVICES)
    def stop(self, service: str) -> None:
        known = self.cluster.store.service_by_name(service)
        if known is not None:
            self.cluster.remove_service(known.id)

    # -- what else happens

    @rule(seconds=st.sampled_from([0, 1, 10]))
    def obey(self, seconds: int) -> None:
        self.cluster.obey()
        self.cluster.wait(seconds)

    @rule(node=st.sampled_from(["node-0", "node-1"]))
    def obey_without(self, node: str) -> None:
        self.cluster.obey(node)

    @rule()
    def change_leader(self) -> None:
        self.cluster.change_leader()
        self.cluster.settle()

    # -- what always holds

    @invariant()
    def nothing_that_is_needed_is_gone(self) -> None:
        held = {secret.id for secret in self.cluster.store.secrets()}
        assert self.referred() <= held
        assert self.may_return() <= held
        if not self.removed:
            assert self.needed() <= held

    @invariant()
    def nothing_else_stays(self) -> None:
        old = {secret.id for secret in self.cluster.store.secrets() if secret.superseded_by}
        assert old <= self.needed()

    @invariant()
    def every_name_has_one_newest_version(self) -> None:
        for name in ("one", "two"):
            versions = [secret for secret in self.cluster.store.secrets() if secret.spec.name == name]
            newest = [secret for secret in versions if not secret.superseded_by]
            assert len(newest) == bool(versions)
            assert all(secret.revision <= newest[0].revision for secret in versions)
            if newest:
                assert self.cluster.store.secret_by_name(name) == newest[0]

    @invariant()
    def followers_hold_the_same(self) -> None:
        assert list(self.cluster.store.secrets()) == list(self.cluster.follower.secrets())

    def attempt(self, decide) -> bool:
        try:
            self.cluster.write(decide)
        except PyswarmError:
            return False
        self.cluster.settle()
        return True

    def referred(self) -> set[str]:
        """By what services are asked to run."""
        return {item.secret_id for service in self.services() for item in service.spec.task.container.secrets}

    def may_return(self) -> set[str]:
        """By what updates that are under way may be rolled back to."""
        store = self.cluster.store
        former = [service.previous_spec for service in self.services() if is_under_way(store, service)]
        return {item.secret_id for each in former if each for item in each.task.container.secrets}

    def needed(self) -> set[str]:
        """By services, by what they can be rolled back to, and by tasks that have not ended."""
        former = [service.previous_spec for service in self.services() if service.previous_spec is not None]
        alive = [task.spec for task in self.cluster.store.tasks() if task.status.state <= TaskState.RUNNING]
        specs = [*(each.task for each in former), *alive]
        return self.referred() | {item.secret_id for each in specs for item in each.container.secrets}

    def services(self) -> list[Service]:
        return list(self.cluster.store.services())


TestVersions = Versions.TestCase
TestVersions.settings = settings(max_examples=60, stateful_step_count=30, deadline=None, print_blob=True)
