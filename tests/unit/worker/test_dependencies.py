"""What an agent knows of secrets and configs."""

import asyncio
from dataclasses import replace
from pathlib import Path

from core.model import Config, ConfigSpec, ContainerSpec, Secret, SecretReference, SecretSpec, TaskSpec
from proto import dispatcher_pb2 as pb
from proto import model_pb2
from tests.support.dispatcher import PlayedSession
from tests.support.tasks import make_task
from worker.database import SqliteDatabase
from worker.dependencies import Dependencies

S1 = Secret(id="s1", spec=SecretSpec(name="one", data=b"the secret"))
S2 = Secret(id="s2", spec=SecretSpec(name="two", data=b"another"))
C1 = Config(id="s1", spec=ConfigSpec(name="config of the same id", data=b"how it is set up"))


async def test_a_secret_and_a_config_of_one_id_are_two() -> None:
    held = Dependencies()
    held.replace([S1, C1])
    assert await held.get((Secret, "s1")) == S1
    assert await held.get((Config, "s1")) == C1
    held.update([S2], [(Secret, "s1"), (Secret, "unknown")])
    assert await held.get((Secret, "s1")) is None
    assert await held.get((Config, "s1")) == C1
    assert await held.get((Secret, "s2")) == S2


async def test_after_a_restart_nothing_is_said_to_be_missing_before_a_manager_has_said_what_there_is() -> None:
    held = Dependencies()
    asked = asyncio.create_task(held.get((Secret, "s1")))
    held.update([S2], [])
    await asyncio.sleep(10)
    assert not asked.done()
    held.replace([S1])
    assert await asked == S1
    held.replace([])
    assert await held.get((Secret, "s1")) is None


def message(kind: "pb.Assignments.Kind", sequence: int, **fields: object) -> pb.Assignments:
    return pb.Assignments(kind=kind, applies_to=sequence - 1, results_in=sequence, **fields)


def secret(item: Secret) -> model_pb2.Secret:
    return model_pb2.Secret(id=item.id, spec=model_pb2.SecretSpec(name=item.spec.name, data=item.spec.data))


async def welcomed(cluster) -> PlayedSession:
    session = await cluster.managers["m1:2377"].session()
    session.welcome()
    return session


async def test_AGT_05_a_session_hands_on_what_comes_and_what_goes(cluster, start_agent) -> None:
    held = Dependencies()
    start_agent(dependencies=held)
    session = await welcomed(cluster)
    config = model_pb2.Config(id="s1", spec=model_pb2.ConfigSpec(name="c", data=b"config"))
    session.send(assignments=message(pb.Assignments.COMPLETE, 1, secrets=[secret(S1)], configs=[config]))
    found = await held.get((Secret, "s1"))
    assert found is not None
    assert (found.spec.name, found.spec.data) == ("one", b"the secret")
    session.send(assignments=message(pb.Assignments.INCREMENTAL, 2, secrets=[secret(S2)], removed_configs=["s1"]))
    await asyncio.sleep(1)
    assert await held.get((Config, "s1")) is None
    assert await held.get((Secret, "s1")) is not None
    assert await held.get((Secret, "s2")) is not None


async def test_what_comes_in_several_messages_is_taken_as_one(cluster, executor, start_agent) -> None:
    held = Dependencies()
    start_agent(dependencies=held)
    session = await welcomed(cluster)
    session.send(assignments=message(pb.Assignments.COMPLETE, 1, secrets=[secret(S1)], more=True))
    asked = asyncio.create_task(held.get((Secret, "s1")))
    await asyncio.sleep(10)
    assert not asked.done()
    session.send(assignments=message(pb.Assignments.COMPLETE, 1, secrets=[secret(S2)]))
    assert await asked is not None
    assert await held.get((Secret, "s2")) is not None


async def test_a_complete_set_of_a_new_session_replaces_what_was_held(cluster, start_agent) -> None:
    held = Dependencies()
    agent = start_agent(dependencies=held)
    session = await welcomed(cluster)
    session.send(assignments=message(pb.Assignments.COMPLETE, 1, secrets=[secret(S1)]))
    assert await held.get((Secret, "s1")) is not None
    agent.reconnect()
    session = await welcomed(cluster)
    assert await held.get((Secret, "s1")) is not None, "without a session it holds what it had"
    session.send(assignments=message(pb.Assignments.COMPLETE, 1, secrets=[secret(S2)]))
    await asyncio.sleep(1)
    assert await held.get((Secret, "s1")) is None


def written_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_the_agents_database_holds_no_data(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "worker.db")
    container = ContainerSpec(secrets=(SecretReference("s1", "one"),))
    task = replace(make_task("a"), spec=TaskSpec(container=container))
    database.put_task(task)
    database.put_status("a", task.status)
    await database.close()
    written = written_in(tmp_path)
    assert b"one" in written, "what the task refers to"
    assert S1.spec.data not in written


def test_nothing_that_holds_data_prints_it() -> None:
    held = Dependencies()
    held.replace([S1, C1])
    for item in (S1, C1):
        for printed in map(repr, (item, item.spec, [item], held)):
            assert item.spec.data.decode() not in printed
