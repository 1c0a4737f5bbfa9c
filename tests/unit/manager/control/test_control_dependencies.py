"""Secrets and configs as a user of the leader sees them."""

from dataclasses import replace

import pytest

from core.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    OutOfSequence,
    PyswarmError,
    ResourceExhausted,
)
from core.model import (
    Config,
    ConfigReference,
    ConfigSpec,
    ContainerSpec,
    DependencyKind,
    DependencySpec,
    FileTarget,
    Mount,
    MountType,
    Secret,
    SecretReference,
    SecretSpec,
    Service,
    ServiceMode,
    Task,
    TaskSpec,
    UpdateState,
    UpdateStatus,
)
from core.model.dependencies import name_of, references_of
from tests.support.control_world import ControlWorld

KINDS: list[DependencyKind] = [Secret, Config]
UNDER_WAY = (UpdateState.UPDATING, UpdateState.PAUSED, UpdateState.ROLLBACK_STARTED, UpdateState.ROLLBACK_PAUSED)


@pytest.fixture
def world() -> ControlWorld:
    return ControlWorld()


def make(kind: DependencyKind, name: str = "one", data: bytes = b"data", **fields: object) -> DependencySpec:
    spec: DependencySpec = SecretSpec(name, data=data) if kind is Secret else ConfigSpec(name, data=data)
    return replace(spec, **fields)


async def create(world: ControlWorld, kind: DependencyKind = Secret, name: str = "one", data: bytes = b"data") -> str:
    return await world.control.create_dependency(make(kind, name, data), f"make {kind.__name__} {name[:40]}".encode())


async def get(world: ControlWorld, kind: DependencyKind, ref: str) -> Secret | Config:
    return await (world.control.get_secret(ref) if kind is Secret else world.control.get_config(ref))


async def set_state(world: ControlWorld, service: Service, state: UpdateState) -> None:
    status = UpdateStatus(state)
    await world.write(lambda tx: tx.update(replace(tx.service(service.id), update_status=status)))


def using(
    secrets: list[tuple[str, str, str]] | None = None,
    configs: list[tuple[str, str, str]] | None = None,
    mounts: tuple[Mount, ...] = (),
    **file: object,
) -> TaskSpec:
    """Of (id, name, target) each."""
    container = ContainerSpec(
        image="nginx",
        secrets=tuple(SecretReference(i, n, FileTarget(t, **file)) for i, n, t in secrets or []),
        configs=tuple(ConfigReference(i, n, FileTarget(t, **file)) for i, n, t in configs or []),
        mounts=mounts,
    )
    return TaskSpec(container=container)


def used_by(service: Service) -> dict[str, str]:
    """The ids that it refers to, by name."""
    container = service.spec.task.container
    ids = [*(item.secret_id for item in container.secrets), *(item.config_id for item in container.configs)]
    return dict(zip(map(name_of, references_of(container)), ids, strict=True))


async def refused(call, words: str, kind: type[PyswarmError] = InvalidArgument) -> None:
    with pytest.raises(kind, match=words):
        await call


async def test_a_secret_can_be_found_by_id_name_and_beginning_and_its_data_by_no_read(world: ControlWorld) -> None:
    secret_id = await create(world, data=b"hidden words")
    for ref in (secret_id, "one", "ONE", secret_id[:5]):
        found = await world.control.get_secret(ref)
        assert (found.id, found.spec.name, found.spec.data, found.revision) == (secret_id, "one", b"", 1)
    assert [secret.spec.data for secret in await world.control.list_secrets({})] == [b""]
    held = world.store.secret(secret_id)
    assert held is not None
    assert held.spec.data == b"hidden words"
    assert world.barriers == 5, "every read is behind the barrier"


async def test_a_config_can_be_read(world: ControlWorld) -> None:
    await create(world, Config, data=b"read me")
    assert (await world.control.get_config("one")).spec.data == b"read me"
    assert [config.spec.data for config in await world.control.list_configs({})] == [b"read me"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_name_is_taken_once_whatever_its_case_and_a_request_made_twice_makes_one(world, kind) -> None:
    first = await create(world, kind)
    assert await create(world, kind) == first
    noun = kind.__name__.lower()
    await refused(
        world.control.create_dependency(make(kind, "One"), b"2"), f"^{noun} One already exists$", AlreadyExists
    )
    await refused(world.control.create_dependency(make(kind, "two"), f"make {kind.__name__} one".encode()), "before")
    await refused(get(world, kind, "nosuch"), f"^{noun} nosuch not found$", NotFound)


async def test_a_secret_and_a_config_may_have_one_name(world: ControlWorld) -> None:
    await create(world, Secret)
    await create(world, Config)


@pytest.mark.parametrize(("kind", "limit"), [(Secret, 500 << 10), (Config, 1000 << 10)])
async def test_API_04_data_is_neither_empty_nor_too_large(
    world: ControlWorld, kind: DependencyKind, limit: int
) -> None:
    noun = kind.__name__.lower()
    for data in (b"", b"x" * limit):
        words = f"^{noun} data must be larger than 0 and less than {limit} bytes$"
        await refused(world.control.create_dependency(make(kind, data=data), b"1"), words)
    await create(world, kind, data=b"x" * (limit - 1))
    await refused(world.control.add_dependency_version(kind, "one", b"", b"2"), "must be larger than 0")


@pytest.mark.parametrize("name", ["", "-a", "a-", "a b", "ä", "a/b", "a\n", "x" * 65, "."])
async def test_API_04_a_name_has_64_characters_of_few_kinds(world: ControlWorld, name: str) -> None:
    await refused(world.control.create_dependency(make(Secret, name), b"1"), "name")


@pytest.mark.parametrize("name", ["a", "A1", "a.b-c_d", "x" * 64])
async def test_API_04_names_that_are_fine(world: ControlWorld, name: str) -> None:
    await create(world, Secret, name)


@pytest.mark.parametrize("kind", KINDS)
async def test_API_04_only_labels_may_change(world: ControlWorld, kind: DependencyKind) -> None:
    item_id = await create(world, kind)
    item = await get(world, kind, item_id)
    labelled = make(kind, labels={"a": "b"})
    await world.control.update_dependency(item_id, item.meta.version, labelled)
    stale = world.control.update_dependency(item_id, item.meta.version, labelled)
    await refused(stale, "out of sequence", OutOfSequence)
    version = (await get(world, kind, item_id)).meta.version
    for spec in (make(kind, "other"), make(kind, data=b"else")):
        await refused(world.control.update_dependency(item_id, version, spec), "^only updates to Labels are allowed$")
    await world.control.update_dependency(item_id, version, make(kind, data=b""))
    held = world.store.dependency((kind, item_id))
    assert held is not None
    assert (held.spec.labels, held.spec.data, held.revision) == ({}, b"data", 1)
    await refused(world.control.update_dependency("nosuch", 1, make(kind)), "nosuch not found", NotFound)


async def test_labels_that_leave_no_room_for_the_data_are_refused(world: ControlWorld) -> None:
    spec = make(Config, labels={"a": "x" * (16 << 10)})
    await refused(world.control.create_dependency(spec, b"1"), "labels take", ResourceExhausted)


async def test_templates_are_read_by_golang_alone(world: ControlWorld) -> None:
    await refused(world.control.create_dependency(make(Config, templating="jinja"), b"1"), "jinja")


@pytest.mark.parametrize("kind", KINDS)
async def test_lists_are_filtered_as_dockers(world: ControlWorld, kind: DependencyKind) -> None:
    ids = {name: await create(world, kind, name) for name in ("web", "web2", "db")}
    labelled = make(kind, "db", labels={"a": "b"})
    await world.control.update_dependency(ids["db"], (await get(world, kind, "db")).meta.version, labelled)
    for filters, names in (
        ({"name": ["we"]}, {"web", "web2"}),
        ({"names": ["web"]}, {"web"}),
        ({"names": ["web", "db"]}, {"web", "db"}),
        ({"id": [ids["db"][:10]]}, {"db"}),
        ({"label": ["a=b"]}, {"db"}),
        ({"label": ["a"], "name": ["w"]}, set()),
    ):
        call = world.control.list_secrets if kind is Secret else world.control.list_configs
        assert {item.spec.name for item in await call(filters)} == names, filters
    await refused(world.control.list_secrets({"driver": ["x"]}), "invalid filter 'driver'")


@pytest.mark.parametrize("kind", KINDS)
async def test_API_04_what_a_service_uses_cannot_be_removed(world: ControlWorld, kind: DependencyKind) -> None:
    item_id = await create(world, kind)
    task = using([(item_id, "one", "one")]) if kind is Secret else using(configs=[(item_id, "one", "one")])
    web = await world.create("web", task=task)
    noun = kind.__name__.lower()
    await refused(
        world.control.remove_dependency(kind, "one"), f"^{noun} 'one' is in use by the following service: web$"
    )
    await world.create("api", task=task)
    await refused(world.control.remove_dependency(kind, item_id), "services: web, api$")
    await world.control.remove_service("api")
    await world.change(web, task=using())
    await world.control.remove_dependency(kind, "one")
    await refused(get(world, kind, "one"), "one not found", NotFound)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_an_update_may_be_rolled_back_to_cannot_be_removed(
    world: ControlWorld, kind: DependencyKind
) -> None:
    item_id = await create(world, kind)
    task = using([(item_id, "one", "one")]) if kind is Secret else using(configs=[(item_id, "one", "one")])
    web = await world.change(await world.create("web", task=task), task=using())
    for state in UNDER_WAY:
        await set_state(world, web, state)
        await refused(world.control.remove_dependency(kind, "one"), "in use by the following service: web$")
    await set_state(world, web, UpdateState.COMPLETED)
    await world.control.remove_dependency(kind, "one")


async def test_an_update_that_is_about_to_replace_tasks_may_be_rolled_back_too(world: ControlWorld) -> None:
    item_id = await create(world)
    web = await world.create("web", task=using([(item_id, "one", "one")]))
    await world.add_task("1", web)
    await world.change(web, task=using())
    await refused(world.control.remove_dependency(Secret, "one"), "in use by the following service: web$")
    await world.write(lambda tx: tx.delete(Task, "1"))
    await world.control.remove_dependency(Secret, "one")


async def test_jobs_are_not_rolled_back_by_themselves(world: ControlWorld) -> None:
    item_id = await create(world)
    job = await world.create(
        "job", mode=ServiceMode.REPLICATED_JOB, replicas=None, task=using([(item_id, "one", "one")])
    )
    await world.add_task("1", job)
    await world.change(job, task=using())
    await world.control.remove_dependency(Secret, "one")


async def test_a_rollback_to_what_has_been_removed_is_refused(world: ControlWorld) -> None:
    web = await world.create("web", task=using([(await create(world), "one", "one")]))
    changed = await world.change(web, task=using())
    await world.control.remove_dependency(Secret, "one")
    await refused(world.control.rollback_service(web.id, changed.meta.version), "secret not found: one")


async def test_API_04_an_unknown_secret_or_config_is_refused(world: ControlWorld) -> None:
    item_id = await create(world)
    for task, words in (
        (using([("nosuch", "one", "one")]), "^secret not found: one$"),
        (using([(item_id, "other", "one")]), "^secret not found: other$"),
        (using([("x", "a", "a"), ("y", "b", "b")]), "^secrets not found: a, b$"),
        (using(configs=[(item_id, "one", "one")]), "^config not found: one$"),
        (using([("", "one", "one")]), "malformed secret reference"),
        (using(configs=[(item_id, "", "one")]), "malformed config reference"),
    ):
        await refused(world.create("web", task=task), words)
    web = await world.create("web", task=using([(item_id, "one", "one")]))
    await refused(world.change(web, task=using([("nosuch", "one", "one")])), "^secret not found: one$")


async def test_API_04_two_with_one_target_are_refused_however_it_is_written(world: ControlWorld) -> None:
    one, two = await create(world), await create(world, Secret, "two")
    config = await create(world, Config)
    for task in (
        using([(one, "one", "x"), (two, "two", "x")]),
        using([(one, "one", "x"), (two, "two", "/run/secrets/x")]),
        using([(one, "one", "//run//x")], [(config, "one", "run/x")]),
        using([(one, "one", "/x")], mounts=(Mount(type=MountType.TMPFS, target="/x"),)),
    ):
        await refused(world.create("web", task=task), "have a conflicting target: '/")
    await world.create("web", task=using([(one, "one", "x"), (one, "one", "y")], [(config, "one", "x")]))


@pytest.mark.parametrize("target", ["", "/", "//", "a/", "..", "../../etc/passwd", "/run/../etc/passwd", ".", "a\0b"])
async def test_a_target_that_is_no_plain_path_of_a_file_is_refused(world: ControlWorld, target: str) -> None:
    one = await create(world)
    await refused(world.create("web", task=using([(one, "one", target)])), "target")


@pytest.mark.parametrize(
    "file",
    [{"uid": "root"}, {"gid": "-1"}, {"uid": "4294967295"}, {"uid": ""}, {"mode": 0o1000}, {"mode": -1}, {"uid": "²"}],
)
async def test_a_files_owner_and_mode_must_be_possible(world: ControlWorld, file: dict[str, object]) -> None:
    one = await create(world)
    await refused(world.create("web", task=using([(one, "one", "x")], **file)), "uid|gid|mode")


@pytest.mark.parametrize("kind", KINDS)
async def test_new_data_is_a_new_version_that_every_service_comes_to_use(world: ControlWorld, kind) -> None:
    old = await create(world, kind)
    other = await create(world, kind, "other")
    pairs = [(old, "one", "a"), (other, "other", "b"), (old, "one", "c")]
    task = using(pairs) if kind is Secret else using(configs=pairs)
    web, idle = await world.create("web", task=task), await world.create("idle", task=using())
    new = await world.control.add_dependency_version(kind, "one", b"newer", b"v2")
    newest = world.store.dependency((kind, new))
    former = world.store.dependency((kind, old))
    assert newest is not None
    assert former is not None
    assert (newest.spec.data, newest.revision, newest.spec.name, newest.superseded_by) == (b"newer", 2, "one", "")
    assert (former.spec.data, former.revision, former.superseded_by) == (b"data", 1, new)
    assert (await get(world, kind, "one")).id == new
    assert (await get(world, kind, old)).id == old
    call = world.control.list_secrets if kind is Secret else world.control.list_configs
    assert [item.id for item in await call({"name": ["one"]})] == [new]
    rolled = await world.control.get_service(web.id)
    assert used_by(rolled) == {"one": new, "other": other}
    assert [item.file.name for item in references_of(rolled.spec.task.container)] == ["a", "b", "c"]
    assert (rolled.spec_version, rolled.previous_spec, rolled.update_status) == (web.spec_version + 1, web.spec, None)
    assert await world.control.get_service(idle.id) == idle


async def test_a_new_version_and_all_that_follows_from_it_are_one_entry(world: ControlWorld) -> None:
    task = using([(await create(world), "one", "one")])
    for name in ("a", "b", "c"):
        await world.create(name, task=task)
    before = world.store.index
    await world.control.add_dependency_version(Secret, "one", b"newer", b"v2")
    assert world.store.index == before + 1


async def test_more_services_than_an_entry_holds_follow_in_others(world: ControlWorld) -> None:
    item_id = await create(world, Config)
    labels = {"long": "x" * 50_000}
    for number in range(20):
        await world.create(f"s{number}", task=using(configs=[(item_id, "one", "one")]), labels=labels)
    before = world.store.index
    new = await world.control.add_dependency_version(Config, "one", b"x" * (1000 << 10 - 1), b"v2")
    assert world.store.index > before + 2
    assert all(used_by(service) == {"one": new} for service in world.store.services())


async def test_a_version_asked_for_twice_or_with_the_same_data_is_made_once(world: ControlWorld) -> None:
    old = await create(world)
    assert await world.control.add_dependency_version(Secret, "one", b"data", b"v2") == old
    new = await world.control.add_dependency_version(Secret, "one", b"newer", b"v3")
    before = world.store.index
    assert await world.control.add_dependency_version(Secret, "one", b"newer", b"v3") == new
    assert world.store.index == before


async def test_a_request_made_again_after_somebody_elses_changes_nothing(world: ControlWorld) -> None:
    web = await world.create("web", task=using([(await create(world), "one", "one")]))
    await world.control.add_dependency_version(Secret, "one", b"mine", b"v2")
    theirs = await world.control.add_dependency_version(Secret, "one", b"theirs", b"v3")
    before = world.store.index
    await world.control.add_dependency_version(Secret, "one", b"mine", b"v2")
    assert world.store.index == before
    assert (await world.control.get_secret("one")).id == theirs
    assert used_by(await world.control.get_service(web.id)) == {"one": theirs}


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_gets_a_new_version_while_a_user_of_it_is_being_updated(world: ControlWorld, kind) -> None:
    old = await create(world, kind)
    task = using([(old, "one", "one")]) if kind is Secret else using(configs=[(old, "one", "one")])
    web = await world.create("web", task=task)
    for name in ("first", "idle"):
        await world.create(name, task=task)
    await world.change(web, replicas=2)
    for state in UNDER_WAY:
        await set_state(world, web, state)
        before = world.store.index
        await refused(
            world.control.add_dependency_version(kind, "one", b"newer", b"v2"),
            "following service: web; .* finish that or roll it back first$",
            FailedPrecondition,
        )
        assert world.store.index == before
    for done, state in enumerate((UpdateState.COMPLETED, UpdateState.ROLLBACK_COMPLETED)):
        await set_state(world, web, state)
        newest = await world.control.add_dependency_version(kind, "one", f"{done}".encode(), f"v{done}".encode())
        assert all(used_by(service) == {"one": newest} for service in world.store.services())


async def test_nor_while_an_update_is_about_to_replace_tasks(world: ControlWorld) -> None:
    pairs = [(await create(world), "one", "one")]
    web = await world.create("web", task=using(pairs))
    await world.add_task("1", web)
    changed = await world.change(web, task=replace(web.spec.task, force_update=1))
    call = world.control.add_dependency_version
    await refused(call(Secret, "one", b"newer", b"v2"), "following service: web;", FailedPrecondition)
    assert await world.control.get_service(web.id) == changed
    await world.write(lambda tx: tx.delete(Task, "1"))
    await call(Secret, "one", b"newer", b"v2")


async def test_a_service_that_was_rolled_back_is_rolled_forward_by_the_next_version(world: ControlWorld) -> None:
    old = await create(world)
    web = await world.create("web", task=using([(old, "one", "one")]))
    await world.control.add_dependency_version(Secret, "one", b"bad", b"v2")
    current = await world.control.get_service(web.id)
    await world.control.rollback_service(web.id, current.meta.version)
    assert used_by(await world.control.get_service(web.id)) == {"one": old}
    await set_state(world, web, UpdateState.ROLLBACK_COMPLETED)
    newest = await world.control.add_dependency_version(Secret, old, b"good", b"v3")
    assert used_by(await world.control.get_service(web.id)) == {"one": newest}
    assert (await world.control.get_secret("one")).revision == 3


@pytest.mark.parametrize("kind", KINDS)
async def test_all_versions_go_together_and_none_while_one_is_used(world: ControlWorld, kind: DependencyKind) -> None:
    old = await create(world, kind)
    task = using([(old, "one", "one")]) if kind is Secret else using(configs=[(old, "one", "one")])
    web = await world.create("web", task=task)
    new = await world.control.add_dependency_version(kind, "one", b"newer", b"v2")
    current = await world.control.get_service(web.id)
    await world.control.rollback_service(web.id, current.meta.version)
    for ref in ("one", old, new):
        await refused(world.control.remove_dependency(kind, ref), "in use by the following service: web")
    await world.control.remove_service("web")
    await world.control.remove_dependency(kind, old)
    assert (list(world.store.secrets()), list(world.store.configs())) == ([], [])
    assert await create(world, kind) != new


async def test_a_rollback_needs_something_to_go_back_to(world: ControlWorld) -> None:
    web = await world.create("web", task=using([(await create(world), "one", "one")]))
    await refused(world.control.rollback_service(web.id, web.meta.version), "previous spec", FailedPrecondition)
