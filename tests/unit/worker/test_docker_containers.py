"""What the engine tells, and in which order, made up: the cases that a real engine shows too rarely."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from worker.executor import TaskError, TemporaryError
from worker.executor.docker.containers import Containers
from worker.executor.docker.engine import EngineGone

LABELS = {"io.pyswarm.cluster": "cluster-1", "io.pyswarm.node": "node-1"}


class PlayedEngine:
    """Containers by id: their task, state and exit code."""

    def __init__(self):
        self.containers = {}
        self.up = False
        self.says = "Up 1 second"
        """The status of every container in the list."""
        self.before_list = lambda: None
        self._events = asyncio.Queue()

    @asynccontextmanager
    async def events(self, labels, since):
        if not self.up:
            raise EngineGone("away")
        self._events = asyncio.Queue()
        yield self._stream()

    async def _stream(self):
        while (event := await self._events.get()) is not None:
            yield event

    async def list(self, labels):
        assert labels == LABELS
        found = [
            {"Id": key, "Labels": LABELS | {"io.pyswarm.task": task}, "State": state, "Status": self.says}
            for key, (task, state, _) in self.containers.items()
        ]
        self.before_list()
        return found

    async def inspect(self, name):
        task, state, code = self.containers[name]
        labels = LABELS | {"io.pyswarm.task": task}
        return {"Id": name, "Config": {"Labels": labels}, "State": {"Status": state, "ExitCode": code}}

    def happens(self, action, key, task="a", **attributes):
        actor = {"ID": key, "Attributes": {"io.pyswarm.task": task} | attributes}
        self._events.put_nowait({"Action": action, "Actor": actor})

    def goes_away(self):
        self.up = False
        self._events.put_nowait(None)


@pytest.fixture
async def engine():
    """Not up yet."""
    return PlayedEngine()


@pytest.fixture
async def containers(engine):
    table = Containers(engine, "cluster-1", "node-1")
    following = asyncio.create_task(table.follow())
    yield table
    following.cancel()
    await asyncio.wait([following])


async def test_an_end_is_heard(engine, containers):
    engine.up = True
    await containers.find("a")
    containers.add("a", "c1")
    engine.happens("die", "c1", exitCode="3")
    assert await (await containers.find("a")).ended == 3


async def test_events_of_other_containers_change_nothing(engine, containers):
    engine.up = True
    await containers.find("a")
    containers.add("a", "c1")
    engine.happens("die", "c0", exitCode="1")
    engine.happens("destroy", "c0")
    engine.happens("die", "c9", task="unknown", exitCode="1")
    await asyncio.sleep(1)
    assert not (await containers.find("a")).ended.done()


async def test_health_is_heard(engine, containers):
    engine.up = True
    await containers.find("a")
    containers.add("a", "c1")
    container = await containers.find("a")
    engine.happens("health_status: running", "c1")
    engine.happens("health_status: healthy", "c1")
    await container.healthy
    assert not container.unhealthy.done()
    engine.happens("health_status: unhealthy", "c1")
    await container.unhealthy
    assert not container.ended.done()


@pytest.mark.parametrize(
    ("says", "healthy", "unhealthy"),
    [
        ("Up 1 second", True, False),
        ("Up 1 second (healthy)", True, False),
        ("Up 1 second (health: starting)", False, False),
        ("Up 1 second (unhealthy)", False, True),
    ],
)
async def test_the_health_of_what_is_adopted_is_known(engine, containers, says, healthy, unhealthy):
    engine.containers = {"c1": ("a", "running", 0)}
    engine.says = says
    engine.up = True
    container = await containers.find("a")
    assert (container.healthy.done(), container.unhealthy.done()) == (healthy, unhealthy)


async def test_a_removal_ends_what_had_not_ended(engine, containers):
    engine.up = True
    await containers.find("a")
    containers.add("a", "c1")
    container = await containers.find("a")
    engine.happens("destroy", "c1")
    assert await container.ended is None
    assert await containers.find("a") is None


async def test_what_is_there_is_adopted(engine, containers):
    engine.containers = {"c1": ("a", "running", 0), "c2": ("b", "exited", 7), "c3": ("c", "created", 0)}
    engine.up = True
    running, exited, created = [await containers.find(task) for task in "abc"]
    assert (running.started, running.ended.done()) == (True, False)
    assert (exited.started, await exited.ended) == (True, 7)
    assert (created.started, created.ended.done()) == (False, False)
    assert sorted(containers.known()) == ["a", "b", "c"]


async def test_what_happened_while_the_engine_was_away_is_made_up_for(engine, containers):
    engine.containers = {"c1": ("a", "running", 0), "c2": ("b", "running", 0), "c3": ("c", "running", 0)}
    engine.up = True
    ends, vanishes, lives = [await containers.find(task) for task in "abc"]
    engine.goes_away()
    await asyncio.sleep(5)
    with pytest.raises(TemporaryError):
        containers.known()
    engine.containers = {"c1": ("a", "exited", 137), "c3": ("c", "running", 0)}
    engine.up = True
    assert await ends.ended == 137
    assert await vanishes.ended is None
    assert await containers.find("c") is lives
    assert not lives.ended.done()


async def test_what_is_created_while_the_list_is_made_is_not_taken_for_gone(engine, containers):
    engine.up = True
    await containers.find("a")
    engine.goes_away()
    await asyncio.sleep(1)
    engine.before_list = lambda: containers.add("a", "c1")
    engine.up = True
    container = await containers.find("a")
    assert container.id == "c1"
    assert not container.ended.done()


async def test_comings_and_goings_of_the_engine_are_told(engine, containers):
    told = []
    containers.on_change = lambda: told.append(engine.up)
    engine.up = True
    await containers.find("a")
    engine.goes_away()
    await asyncio.sleep(10)
    engine.up = True
    await containers.find("a")
    assert told == [True, False, True]


async def test_a_name_that_another_container_holds_is_an_error(engine, containers):
    engine.containers = {"web.1.a": ("a", "running", 0)}
    engine.up = True
    await containers.adopt("a", "web.1.a")
    assert (await containers.find("a")).started
    with pytest.raises(TaskError, match=r"the name web\.1\.a is taken by a container that is not ours"):
        await containers.adopt("b", "web.1.a")
