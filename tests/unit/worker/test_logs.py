import asyncio

from core.model import LogLine
from proto import dispatcher_pb2 as pb
from tests.support.tasks import make_task
from worker.executor import TaskError
from worker.logs import BATCH_SIZE

ALL = pb.LogOptions(stdout=True, stderr=True, tail=-1)


def line(number, stderr=False, task_id="a"):
    return LogLine("service-1", "node-1", task_id, number, stderr, f"line {number}\n".encode())


async def subscribed(cluster, start_agent, executor, *task_ids, options=ALL):
    """A node with tasks a and b, whose logs are subscribed to."""
    start_agent()
    manager = cluster.managers["m1:2377"]
    session = await manager.session()
    session.welcome()
    session.complete(make_task("a"), make_task("b"))
    await session.until(lambda s: len(executor.containers) == 2)
    executor.containers["a"].lines[:] = [line(1), line(2, stderr=True), line(3)]
    executor.containers["b"].lines[:] = [line(4, task_id="b")]
    session.send(logs=pb.LogSubscription(id="sub", task_ids=task_ids, options=options))
    await asyncio.sleep(5)
    return manager, session


def lines(manager):
    return [(item.task_id, item.timestamp) for request in manager.published for item in request.lines]


async def test_LOG_01_without_follow_the_stream_ends_when_all_is_said(cluster, executor, start_agent):
    manager, _ = await subscribed(cluster, start_agent, executor, "a", "b")
    assert sorted(lines(manager)) == [("a", 1), ("a", 2), ("a", 3), ("b", 4)]
    assert [request.done for request in manager.published] == [False, True]
    assert {(request.session_id, request.subscription_id) for request in manager.published} == {("session", "sub")}
    sent = manager.published[0].lines[1]
    assert (sent.service_id, sent.node_id, sent.stderr, sent.data) == ("service-1", "node-1", True, b"line 2\n")


async def test_LOG_01_without_any_task_it_ends_at_once(cluster, executor, start_agent):
    manager, _ = await subscribed(cluster, start_agent, executor)
    assert [request.done for request in manager.published] == [True]


async def test_LOG_01_a_log_that_cannot_be_read_is_told_and_the_others_are_read(cluster, executor, start_agent):
    manager, _ = await subscribed(cluster, start_agent, executor, "a", "gone")
    assert len(lines(manager)) == 3
    errors = [request.error for request in manager.published if request.error]
    assert errors == ["the log of task gone cannot be read: it is no longer on this node"]
    assert manager.published[-1].done


async def test_the_options_are_handed_on(cluster, executor, start_agent):
    options = pb.LogOptions(stdout=True, stderr=False, tail=1)
    manager, _ = await subscribed(cluster, start_agent, executor, "a", options=options)
    assert lines(manager) == [("a", 3)]


async def test_a_followed_log_goes_on_until_it_is_closed(cluster, executor, start_agent):
    options = pb.LogOptions(stdout=True, stderr=True, follow=True, tail=-1)
    manager, session = await subscribed(cluster, start_agent, executor, "a", options=options)
    assert len(lines(manager)) == 3
    executor.exit("a", 0)
    session.send(logs=pb.LogSubscription(id="sub", task_ids=["a", "b"]))
    await asyncio.sleep(1)
    assert len(lines(manager)) == 4
    assert not any(request.done for request in manager.published)
    session.send(logs=pb.LogSubscription(id="sub", close=True))
    session.send(logs=pb.LogSubscription(id="unknown", close=True))
    await asyncio.sleep(1)
    session.send(logs=pb.LogSubscription(id="sub", task_ids=["b"], options=ALL))
    await asyncio.sleep(1)
    assert lines(manager)[4:] == [("b", 4)]
    assert manager.published[-1].done


async def test_many_lines_go_in_batches(cluster, executor, start_agent):
    manager, session = await subscribed(cluster, start_agent, executor, "b")
    manager.published.clear()
    executor.containers["a"].lines[:] = [line(number) for number in range(10_000)]
    session.send(logs=pb.LogSubscription(id="more", task_ids=["a"], options=ALL))
    await asyncio.sleep(1)
    assert len(lines(manager)) == 10_000
    assert len(manager.published) < 100


async def test_long_lines_go_in_more_batches(cluster, executor, start_agent):
    manager, session = await subscribed(cluster, start_agent, executor, "b")
    count = len(manager.published)
    text = b"x" * (BATCH_SIZE // 2)
    executor.containers["a"].lines[:] = [LogLine("service-1", "node-1", "a", at, False, text) for at in range(6)]
    session.send(logs=pb.LogSubscription(id="long", task_ids=["a"], options=ALL))
    await asyncio.sleep(1)
    sent = [len(request.lines) for request in manager.published[count:] if request.lines]
    assert sent == [2, 2, 2]


async def test_a_subscription_ends_with_its_session(cluster, executor, start_agent):
    options = pb.LogOptions(stdout=True, stderr=True, follow=True, tail=-1)
    _, session = await subscribed(cluster, start_agent, executor, "a", options=options)
    before = len(asyncio.all_tasks())
    session.close()
    await asyncio.sleep(1)
    assert len(asyncio.all_tasks()) < before


async def test_a_fault_while_reading_is_told(cluster, executor, start_agent):
    class Broken(list):
        def __iter__(self):
            raise TaskError("the log driver cannot read")

    manager, session = await subscribed(cluster, start_agent, executor, "b")
    executor.containers["a"].lines = Broken()
    session.send(logs=pb.LogSubscription(id="more", task_ids=["a"], options=ALL))
    await asyncio.sleep(1)
    assert manager.published[-2].error == "the log of task a cannot be read: the log driver cannot read"


async def test_a_subscription_may_overtake_its_task(cluster, executor, start_agent):
    options = pb.LogOptions(stdout=True, stderr=True, follow=True, tail=-1)
    manager, session = await subscribed(cluster, start_agent, executor, options=options)
    session.send(logs=pb.LogSubscription(id="sub", task_ids=["c"]))
    await asyncio.sleep(0.1)
    session.incremental(make_task("c"))
    await asyncio.sleep(5)
    assert not any(request.error for request in manager.published)
