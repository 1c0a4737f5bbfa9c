"""Logs from nodes to a reader, over real streams."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace

import grpc
import pytest

from core.errors import InvalidArgument, Unavailable
from core.model import LogLine, LogOptions, Node, NodeDescription, Service, Task, TaskState
from manager.logbroker.buffer import LineBuffer
from manager.logbroker.subscription import Patience
from proto import dispatcher_pb2 as pb
from tests.support.leading import Leader, PlayedAgent, leading, make_service, make_task
from tests.support.waiting import eventually

FOLLOW = LogOptions(follow=True)


@dataclass
class Reader:
    """Reads a log in the background."""

    lines: list[LogLine] = field(default_factory=list)
    error: Exception | None = None
    job: "asyncio.Task[None] | None" = None

    @property
    def texts(self) -> list[str]:
        return [line.data.decode().strip() for line in self.lines]

    async def end(self) -> list[str]:
        assert self.job is not None
        async with asyncio.timeout(30):
            await self.job
        return self.texts

    async def run(self, lines: AsyncIterator[LogLine]) -> None:
        try:
            async with aclosing(lines) as log:  # type: ignore[type-var]
                async for line in log:
                    self.lines.append(line)
        except Unavailable as error:
            self.error = error


@asynccontextmanager
async def reading(leader: Leader, options: LogOptions | None = None, *tasks: str) -> AsyncIterator[Reader]:
    """A reader of the service `web`, or of `tasks`."""
    reader = Reader()
    asked = ([], list(tasks)) if tasks else (["web"], [])
    reader.job = asyncio.create_task(reader.run(leader.logs.logs(*asked, options or LogOptions())))
    try:
        yield reader
    finally:
        reader.job.cancel()
        await asyncio.wait([reader.job])


async def web(leader: Leader) -> None:
    """One task on each node."""
    await leader.put(make_service(), make_task("a", "n1", TaskState.RUNNING), make_task("b", "n2", TaskState.RUNNING))


def line(task_id: str, text: str, timestamp: int = 1) -> pb.LogLine:
    return pb.LogLine(task_id=task_id, timestamp=timestamp, data=f"{text}\n".encode(), service_id="x", node_id="x")


def answer(agent: PlayedAgent, asked: pb.LogSubscription, *lines: pb.LogLine, **more: object) -> pb.PublishLogsRequest:
    return pb.PublishLogsRequest(session_id=agent.session_id, subscription_id=asked.id, lines=lines, **more)  # type: ignore[arg-type]


async def test_LOG_01_without_follow_it_ends_when_every_node_has_answered() -> None:
    async with leading(prepare=web) as leader, leader.agent("n1") as one, leader.agent("n2") as two:
        for agent in (one, two):
            await agent.welcomed()
        async with reading(leader) as reader:
            for agent, task_id in ((one, "a"), (two, "b")):
                asked = await agent.next("logs")
                assert list(asked.task_ids) == [task_id]
                assert (asked.options.stdout, asked.options.stderr, asked.options.tail) == (True, True, -1)
                await agent.publish(
                    answer(agent, asked, line(task_id, f"from {task_id}")), answer(agent, asked, done=True)
                )
            assert sorted(await reader.end()) == ["from a", "from b"]
            assert {(got.service_id, got.node_id, got.task_id) for got in reader.lines} == {
                ("web", "n1", "a"),
                ("web", "n2", "b"),
            }, "whatever the agent says of itself"


async def test_lines_of_several_nodes_come_by_their_times() -> None:
    patience = Patience(order=1000)
    async with leading(prepare=web, patience=patience) as leader, leader.agent("n1") as one, leader.agent("n2") as two:
        for agent in (one, two):
            await agent.welcomed()
        async with reading(leader) as reader:
            asked = {agent: await agent.next("logs") for agent in (one, two)}
            late = [line("b", "second", 2), line("b", "fourth", 4)]
            await two.publish(answer(two, asked[two], *late), answer(two, asked[two], done=True))
            assert reader.texts == [], "they wait for the other node"
            early = [line("a", "first", 1), line("a", "third", 3)]
            await one.publish(answer(one, asked[one], *early), answer(one, asked[one], done=True))
            assert await reader.end() == ["first", "second", "third", "fourth"]


async def test_LOG_01_a_node_that_is_gone_is_named_at_the_end() -> None:
    async with leading(prepare=web) as leader:
        async with leader.agent("n2", description=NodeDescription(hostname="vm2")) as two:
            await two.welcomed()
        await eventually("n2 has gone", lambda: not leader.dispatcher.sessions)
        async with leader.agent("n1") as one:
            await one.welcomed()
            async with reading(leader) as reader:
                asked = await one.next("logs")
                await one.publish(answer(one, asked, line("a", "hello")), answer(one, asked, done=True))
                assert await reader.end() == ["hello", "warning: incomplete log from node vm2: it is not available"]
                warning = reader.lines[-1]
                assert (warning.node_id, warning.task_id, warning.stderr) == ("n2", "b", True)


@pytest.mark.parametrize("asked", [(), ("c", "d")])
async def test_LOG_01_tasks_that_have_no_node_yet_are_told_of_at_the_end(asked: tuple[str, ...]) -> None:
    async with leading(prepare=web) as leader, leader.agent("n1") as one, leader.agent("n2") as two:
        waiting = make_task("c", "", TaskState.PENDING)
        given_up = replace(make_task("e", "", TaskState.PENDING), desired_state=TaskState.SHUTDOWN)
        await leader.put(waiting, make_task("d", "", TaskState.NEW), given_up)
        for agent in (one, two):
            await agent.welcomed()
        async with reading(leader, None, *asked) as reader:
            for agent in () if asked else (one, two):
                await agent.publish(answer(agent, await agent.next("logs"), done=True))
            said = "warning: incomplete log: 2 tasks have not been scheduled: pyswarm service explain says why"
            assert await reader.end() == [said]


async def test_LOG_01_a_node_that_leaves_half_way_does_not_hold_it_up() -> None:
    async with leading(prepare=web) as leader:
        async with reading(leader, None, "a") as reader, leader.agent("n1"):
            assert await reader.end() == ["warning: incomplete log from node n1: it is not available"]
        async with leader.agent("n1") as one:
            await one.welcomed()
            async with reading(leader, None, "a") as reader:
                await one.next("logs")
                one.call.cancel()
                assert "it left before its log was complete" in (await reader.end())[-1]


async def test_LOG_01_a_node_that_does_not_answer_is_given_up() -> None:
    async with leading(prepare=web, patience=Patience(answer=0.1)) as leader, leader.agent("n1") as one:
        await one.welcomed()
        async with reading(leader, None, "a") as reader:
            await one.next("logs")
            assert await reader.end() == ["warning: incomplete log from node host: it does not answer"]
            assert (await one.next("logs")).close


async def test_LOG_01_a_node_that_falls_silent_is_given_up() -> None:
    async with leading(prepare=web, patience=Patience(silence=0.1)) as leader, leader.agent("n1") as one:
        await one.welcomed()
        async with reading(leader, None, "a") as reader:
            asked = await one.next("logs")
            call = one.stub.PublishLogs()
            await call.write(answer(one, asked, line("a", "half")))
            assert await reader.end() == ["half", "warning: incomplete log from node host: it does not answer"]
            call.cancel()


async def test_LOG_01_a_log_that_breaks_off_or_cannot_be_read_is_named() -> None:
    async with leading(prepare=web) as leader, leader.agent("n1") as one:
        await one.welcomed()
        async with reading(leader, None, "a") as reader:
            asked = await one.next("logs")
            await one.publish(answer(one, asked, line("a", "half"), error="the engine is gone"))
            assert await reader.end() == [
                "half",
                "warning: incomplete log from node host: the engine is gone",
                "warning: incomplete log from node host: its log broke off",
            ]


async def test_LOG_02_followed_tasks_and_nodes_that_come_later_are_asked_for_once_each() -> None:
    async with leading() as leader, leader.agent("n1") as one, leader.agent("n2") as two:
        for agent in (one, two):
            await agent.welcomed()
        await leader.put(make_service(), make_task("a", "n1", TaskState.RUNNING))
        async with reading(leader, FOLLOW) as reader:
            first = await one.next("logs")
            assert list(first.task_ids) == ["a"]
            await leader.put(make_task("c", "n1", TaskState.ASSIGNED), make_task("d", "n2", TaskState.ASSIGNED))
            assert list((await one.next("logs")).task_ids) == ["c"]
            other = await two.next("logs")
            assert list(other.task_ids) == ["d"]
            assert other.id == first.id
            await leader.put(make_task("c", "n1", TaskState.RUNNING), make_task("foreign", "n1", service_id="db"))
            await leader.put(make_task("e", "n1", TaskState.RUNNING))
            assert list((await one.next("logs")).task_ids) == ["e"]
            publishing = asyncio.create_task(one.publish(answer(one, first, line("a", "x"), line("foreign", "no"))))
            await eventually("the line is read", lambda: reader.texts[:1] == ["x"])
            await publishing
        assert (await one.next("logs")).close


async def test_a_followed_node_that_comes_back_goes_on_where_it_was() -> None:
    async with leading(prepare=web) as leader, reading(leader, replace(FOLLOW, tail=10), "a") as reader:
        async with leader.agent("n1") as one:
            await one.welcomed()
            asked = await one.next("logs")
            assert asked.options.tail == 10
            publishing = asyncio.create_task(one.publish(answer(one, asked, line("a", "old", 7), line("a", "new", 8))))
            await eventually("lines are read", lambda: "new" in reader.texts)
            await publishing
        await eventually("the reader is told", lambda: "left" in reader.texts[-1] or "broke" in reader.texts[-1])
        async with leader.agent("n1") as again:
            await again.welcomed()
            asked = await again.next("logs")
            assert (list(asked.task_ids), asked.options.since, asked.options.tail) == (["a"], 8, -1)
            publishing = asyncio.create_task(
                again.publish(answer(again, asked, line("a", "new", 8), line("a", "newer", 9)))
            )
            await eventually("it goes on", lambda: "newer" in reader.texts)
            await publishing
        assert [text for text in reader.texts if "warning" not in text] == ["old", "new", "newer"]


async def test_following_ends_when_all_that_was_asked_for_is_removed() -> None:
    async with leading(prepare=web) as leader, reading(leader, FOLLOW) as reader:
        await eventually("it has begun", lambda: len(reader.texts) == 2)
        for kind, item_id in ((Task, "a"), (Task, "b"), (Service, "web")):
            assert reader.job is not None
            assert not reader.job.done()
            await leader.change(lambda tx, kind=kind, item_id=item_id: tx.delete(kind, item_id))  # type: ignore[misc]
        await reader.end()


async def test_a_reader_is_told_when_this_manager_no_longer_leads() -> None:
    async with leading(prepare=web) as leader:
        async with reading(leader, FOLLOW) as reader:
            await eventually("it has begun", lambda: len(reader.texts) == 2)
            await leader.resign()
            await reader.end()
            assert reader.error is not None
        async with reading(leader) as reader:
            await reader.end()
            assert reader.error is not None


async def test_only_nodes_that_were_asked_are_heard() -> None:
    async with leading(prepare=web) as leader, leader.agent("n1") as one, leader.agent("n2") as two:
        for agent in (one, two):
            await agent.welcomed()
        async with reading(leader, FOLLOW, "a"):
            asked = await one.next("logs")
            with pytest.raises(InvalidArgument, match="nobody reads"):
                await two.publish(answer(two, asked, line("a", "forged")))
            with pytest.raises(InvalidArgument, match="nobody reads"):
                await one.publish(answer(one, pb.LogSubscription(id="nonsense"), line("a", "lost")))


async def test_a_reader_that_goes_away_ends_the_nodes_stream() -> None:
    async with leading(prepare=web) as leader, leader.agent("n1") as one:
        await one.welcomed()
        async with reading(leader, FOLLOW, "a"):
            asked = await one.next("logs")
        assert (await one.next("logs")).close
        with pytest.raises(InvalidArgument, match="nobody reads"):
            await one.publish(answer(one, asked, line("a", "late")))


async def test_a_stream_that_is_open_when_the_reader_goes_away_is_ended() -> None:
    async with leading(prepare=web) as leader, leader.agent("n1") as one:
        await one.welcomed()
        call = one.stub.PublishLogs()
        async with reading(leader, FOLLOW, "a") as reader:
            asked = await one.next("logs")
            await call.write(answer(one, asked, line("a", "read")))
            await eventually("the line is read", lambda: "read" in reader.texts)
        assert (await one.next("logs")).close
        await call.write(answer(one, asked, line("a", "late")))
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_slow_reader_makes_the_nodes_wait() -> None:
    buffer = LineBuffer(max_bytes=10)
    await buffer.put([LogLine(data=b"first")], 100)
    blocked = [asyncio.create_task(buffer.put([LogLine(data=data)], 6)) for data in (b"second", b"third")]
    await asyncio.sleep(0)
    assert [got.data for got in buffer.take()] == [b"first"]
    await blocked[0]
    await asyncio.sleep(0)
    assert not blocked[1].done()
    assert [got.data for got in buffer.take()] == [b"second"]
    await blocked[1]
    waiting = asyncio.create_task(buffer.put([], 6))
    await asyncio.sleep(0)
    buffer.close()
    await waiting
    assert buffer.take() == []


async def test_a_removed_node_is_named_by_its_id() -> None:
    async with leading(prepare=web) as leader:
        await leader.change(lambda tx: tx.delete(Node, "n2"))
        async with reading(leader, None, "b") as reader:
            assert await reader.end() == ["warning: incomplete log from node n2: it is not available"]
