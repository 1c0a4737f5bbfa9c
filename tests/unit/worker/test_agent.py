import asyncio
import dataclasses

import pytest

from core.errors import NotLeader, Unavailable
from core.model import IngressAck, PortError, TaskState
from proto import dispatcher_pb2 as pb
from proto import model_pb2
from tests.support.tasks import make_task
from worker.database import MemoryDatabase
from worker.executor.fake import Script
from worker.keeper import LONGEST_PAUSE, PATIENCE
from worker.node_watch import ENGINE_GRACE, PERIOD

S = TaskState


async def opened(cluster, addr="m1:2377", **welcome):
    session = await cluster.managers[addr].session()
    session.welcome(**welcome)
    return session


def state(session, task_id="task-1"):
    status = session.statuses().get(task_id)
    return status.state if status is not None else None


async def test_a_task_runs_and_is_reported(cluster, start_agent):
    start_agent()
    session = await opened(cluster)
    session.complete(make_task())
    await session.until(lambda s: state(s) == S.RUNNING)
    assert session.statuses()["task-1"].container.address == "172.17.0.2"


async def test_the_node_registers_with_what_it_is(cluster, start_agent):
    start_agent(addr="10.0.0.7")
    session = await cluster.managers["m1:2377"].session()
    register = session.received[0].register
    assert (register.addr, register.description.hostname) == ("10.0.0.7", "fake")


async def test_AGT_05_a_complete_set_starts_new_updates_known_and_removes_the_rest(cluster, executor, start_agent):
    start_agent()
    session = await opened(cluster)
    session.complete(make_task("stays"), make_task("goes"), make_task("stops"))
    await session.until(lambda s: len(s.statuses()) == 3 and state(s, "stops") == S.RUNNING)
    session.complete(make_task("stays"), make_task("stops", desired=S.SHUTDOWN), make_task("new"))
    await session.until(lambda s: state(s, "new") == S.RUNNING and state(s, "stops") == S.SHUTDOWN)
    await asyncio.sleep(1)
    assert executor.containers.keys() == {"stays", "stops", "new"}
    assert not executor.containers["stays"].ended.done()


async def test_AGT_05_an_incremental_set_touches_only_what_it_names(cluster, executor, start_agent):
    start_agent()
    session = await opened(cluster)
    session.complete(make_task("a"), make_task("b"))
    session.incremental(make_task("c"), removed=["b", "unknown"])
    await session.until(lambda s: state(s, "a") == S.RUNNING and state(s, "c") == S.RUNNING)
    await asyncio.sleep(1)
    assert executor.containers.keys() == {"a", "c"}


async def test_AGT_05_a_lost_assignment_is_noticed_and_a_new_session_opened(cluster, executor, start_agent):
    start_agent()
    session = await opened(cluster)
    session.complete(make_task("a"))
    session.skip()
    session.incremental(make_task("b"))
    again = await opened(cluster)
    again.complete(make_task("a"), make_task("b"), make_task("c"))
    await again.until(lambda s: state(s, "c") == S.RUNNING)
    assert session.cancelled


async def test_containers_of_tasks_that_nobody_knows_go_only_after_a_complete_set(cluster, executor, start_agent):
    first = start_agent()
    session = await opened(cluster)
    session.complete(make_task("old"))
    await session.until(lambda s: state(s, "old") == S.RUNNING)
    await start_agent.stop(first)
    start_agent()
    session = await opened(cluster)
    await asyncio.sleep(60)
    assert executor.containers.keys() == {"old"}
    session.complete(make_task("new"))
    await session.until(lambda s: state(s, "new") == S.RUNNING)
    await asyncio.sleep(1)
    assert executor.containers.keys() == {"new"}


async def test_AGT_06_a_restarted_agent_resumes_and_reports_everything(cluster, executor, start_agent):
    database = MemoryDatabase()
    first = start_agent(database=database)
    session = await opened(cluster)
    session.complete(make_task("runs"), make_task("ends"))
    await session.until(lambda s: state(s, "runs") == state(s, "ends") == S.RUNNING)
    await start_agent.stop(first)
    executor.exit("ends", 3)
    start_agent(database=database)
    session = await opened(cluster)
    session.complete(make_task("runs"), make_task("ends"))
    await session.until(lambda s: state(s, "runs") == S.RUNNING and state(s, "ends") == S.FAILED)
    assert executor.containers.keys() == {"runs", "ends"}


async def test_AGT_06_an_agent_resumes_its_tasks_without_any_manager(cluster, executor, start_agent):
    database = MemoryDatabase()
    first = start_agent(database=database)
    session = await opened(cluster)
    session.complete(make_task("runs"))
    await session.until(lambda s: state(s, "runs") == S.RUNNING)
    await start_agent.stop(first)
    cluster.managers.clear()
    start_agent(database=database)
    await asyncio.sleep(60)
    executor.exit("runs", 0)
    await asyncio.sleep(1)
    ((_, status),) = database.tasks()
    assert status.state == S.COMPLETE


async def test_AGT_06_every_status_is_reported_again_on_a_new_session(cluster, start_agent):
    start_agent()
    session = await opened(cluster)
    session.complete(make_task("a"), make_task("b"))
    await session.until(lambda s: state(s, "a") == state(s, "b") == S.RUNNING)
    session.fail(Unavailable("connection lost"))
    session = await opened(cluster)
    session.complete(make_task("a"), make_task("b"))
    await session.until(lambda s: s.reports())
    assert {update.task_id for update in session.reports()[0].updates} == {"a", "b"}


async def test_AGT_09_a_refused_update_is_not_remembered_either(cluster, start_agent):
    database = MemoryDatabase()
    start_agent(database=database)
    session = await opened(cluster)
    session.complete(make_task(desired=S.SHUTDOWN))
    session.incremental(make_task(desired=S.RUNNING))
    await session.until(lambda s: state(s) == S.SHUTDOWN)
    ((task, _),) = database.tasks()
    assert task.desired_state == S.SHUTDOWN


async def test_losing_all_managers_stops_nothing(cluster, executor, start_agent):
    agent = start_agent()
    session = await opened(cluster)
    session.complete(make_task("a"))
    await session.until(lambda s: state(s, "a") == S.RUNNING)
    assert agent.connected
    manager = cluster.managers.pop("m1:2377")
    session.fail(Unavailable("connection lost"))
    await asyncio.sleep(600)
    assert not agent.connected
    assert not executor.containers["a"].ended.done()
    cluster.managers["m1:2377"] = manager
    await opened(cluster)


async def test_AGT_08_attempts_back_off_to_less_than_a_new_leader_waits(cluster, start_agent):
    cluster.managers.clear()
    loop = asyncio.get_running_loop()
    start_agent()
    await asyncio.sleep(10)
    early = len(cluster.dialled)
    begin = loop.time()
    await asyncio.sleep(1000)
    mean_wait = (loop.time() - begin) / (len(cluster.dialled) - early)
    assert early >= 6
    # Swarm's 8 s are more than the 4 s that nodes have to find a new leader.
    assert mean_wait == pytest.approx(LONGEST_PAUSE / 2, rel=0.25)


async def test_AGT_08_other_managers_are_tried_in_turn(cluster, start_agent):
    for addr in ("m1:2377", "m2:2377"):
        cluster.managers[addr].refusal = Unavailable("starting")
    start_agent(managers=["m1:2377", "m2:2377", "m3:2377"])
    await opened(cluster, "m3:2377")
    assert cluster.dialled == ["m1:2377", "m2:2377", "m3:2377"]


async def test_AGT_08_a_silent_manager_is_left_after_a_while(cluster, start_agent):
    start_agent(managers=["m1:2377", "m2:2377"])
    begin = asyncio.get_running_loop().time()
    await cluster.managers["m1:2377"].session()
    await opened(cluster, "m2:2377")
    assert asyncio.get_running_loop().time() - begin == pytest.approx(PATIENCE[0], abs=0.2)


async def test_AGT_08_a_followers_word_on_the_leader_is_followed_at_once(cluster, start_agent):
    cluster.managers["m1:2377"].refusal = NotLeader("m3:2377")
    start_agent(managers=["m1:2377", "m2:2377", "m3:2377"])
    begin = asyncio.get_running_loop().time()
    await opened(cluster, "m3:2377")
    assert cluster.dialled == ["m1:2377", "m3:2377"]
    assert asyncio.get_running_loop().time() - begin < 0.05


async def test_AGT_08_two_managers_that_name_each_other_are_not_asked_without_pause(cluster, start_agent):
    cluster.managers["m1:2377"].refusal = NotLeader("m2:2377")
    cluster.managers["m2:2377"].refusal = NotLeader("m1:2377")
    start_agent(managers=["m1:2377", "m2:2377"])
    await asyncio.sleep(60)
    assert len(cluster.dialled) < 3 * 60 / (LONGEST_PAUSE / 2)


async def test_AGT_08_the_managers_list_is_kept_over_a_restart(cluster, start_agent):
    database = MemoryDatabase()
    first = start_agent(database=database)
    await opened(cluster, managers=["m2:2377", "m3:2377"])
    await asyncio.sleep(1)
    await start_agent.stop(first)
    del cluster.managers["m1:2377"]
    start_agent(database=database, managers=[])
    await opened(cluster, "m2:2377")


async def test_AGT_08_a_changed_description_opens_a_new_session(cluster, executor, start_agent):
    start_agent()
    session = await opened(cluster)
    await asyncio.sleep(3 * PERIOD)
    assert not session.cancelled
    executor.description = dataclasses.replace(executor.description, engine_labels={"disk": "ssd"})
    await asyncio.sleep(PERIOD + 1)
    again = await opened(cluster)
    assert session.cancelled
    assert again.received[0].register.description.engine_labels == {"disk": "ssd"}


async def test_an_engine_that_is_away_for_a_short_while_is_not_told(cluster, executor, start_agent):
    start_agent()
    session = await opened(cluster)
    session.complete(make_task("a"))
    await session.until(lambda s: state(s, "a") == S.RUNNING)
    executor.set_down("dockerd restarts")
    await asyncio.sleep(ENGINE_GRACE - 2)
    executor.set_down("")
    await asyncio.sleep(3 * PERIOD)
    assert not session.cancelled


async def test_an_engine_that_is_gone_is_told_and_so_is_its_return(cluster, executor, start_agent):
    start_agent()
    await opened(cluster)
    executor.set_down("dockerd is not running")
    gone = (await opened(cluster)).received[0].register.description
    assert gone.engine_error == "dockerd is not running"
    assert gone.resources.nano_cpus > 0
    executor.set_down("")
    assert (await opened(cluster)).received[0].register.description.engine_error == ""


async def test_a_node_without_an_engine_says_so_when_it_joins(cluster, executor, start_agent):
    executor.set_down("dockerd is not installed")
    start_agent()
    session = await opened(cluster)
    assert session.received[0].register.description.engine_error == "dockerd is not installed"


async def test_heartbeats_come_at_the_period_that_is_told(cluster, start_agent):
    start_agent()
    session = await opened(cluster, heartbeat_period=2 * 10**9)
    await asyncio.sleep(20.5)
    assert session.count("heartbeat") == 10
    session.send(info=pb.SessionInfo(heartbeat_period=5 * 10**9))
    await asyncio.sleep(100)
    assert session.count("heartbeat") == pytest.approx(30, abs=1)


async def test_what_the_leader_says_of_the_node_is_handed_on(cluster, start_agent):
    told = []
    start_agent(on_info=told.append)
    session = await opened(cluster)
    info = pb.SessionInfo(node=model_pb2.Node(id="node-1", role=1), heartbeat_period=10**9)
    session.send(info=info)
    await asyncio.sleep(1)
    assert told[-1] == info


class SlowPorts:
    """A data plane that takes 10 s for every state."""

    def __init__(self):
        self.applied = []

    async def apply(self, state):
        await asyncio.sleep(10)
        self.applied.append(state.version)
        return IngressAck(version=state.version, errors=(PortError(8080, "in use"),))


async def test_ingress_states_are_applied_newest_first_and_acked(cluster, start_agent):
    ports = SlowPorts()
    start_agent(published_ports=ports)
    session = await opened(cluster)
    for version in (1, 2, 3):
        session.send(ingress=model_pb2.IngressState(version=version))
        await asyncio.sleep(1)
    await session.until(lambda s: s.count("ingress_ack") == 2)
    assert ports.applied == [1, 3]
    acks = [message.ingress_ack for message in session.received if message.HasField("ingress_ack")]
    assert [ack.version for ack in acks] == [1, 3]
    assert acks[0].errors[0].message == "in use"


async def test_a_data_plane_that_fails_is_tried_again_and_not_acked_before(cluster, start_agent):
    class Failing(SlowPorts):
        async def apply(self, state):
            self.applied.append(state.version)
            if len(self.applied) < 3:
                raise OSError("the relay restarts")
            return IngressAck(version=state.version)

    ports = Failing()
    start_agent(published_ports=ports)
    session = await opened(cluster)
    session.send(ingress=model_pb2.IngressState(version=7))
    await session.until(lambda s: s.count("ingress_ack"))
    assert ports.applied == [7, 7, 7]


async def test_a_task_is_stopped_once_the_leader_releases_it(cluster, executor, start_agent):
    start_agent()
    session = await opened(cluster)
    session.complete(make_task(ingress=True))
    await session.until(lambda s: state(s) == S.RUNNING)
    session.incremental(make_task(ingress=True, desired=S.SHUTDOWN))
    await asyncio.sleep(1)
    assert state(session) == S.RUNNING
    session.incremental(released=["task-1", "unknown"])
    await session.until(lambda s: state(s) == S.SHUTDOWN)


async def test_a_node_that_leaves_removes_everything(cluster, executor, start_agent):
    executor._script = lambda task: Script(stop_delay=5)
    agent = start_agent()
    session = await opened(cluster)
    session.complete(make_task("a"), make_task("b"))
    await session.until(lambda s: state(s, "a") == state(s, "b") == S.RUNNING)
    await agent.leave()
    assert executor.containers == {}
    assert session.cancelled
    await asyncio.sleep(60)
    assert cluster.dialled == ["m1:2377"]


async def test_a_message_that_makes_no_sense_ends_the_session_not_the_agent(cluster, start_agent):
    start_agent()
    session = await opened(cluster)
    orphan = model_pb2.TaskSet(tasks=[model_pb2.Task(id="without-its-spec")])
    session.send(assignments=pb.Assignments(kind=pb.Assignments.COMPLETE, results_in=1, tasks=orphan))
    await opened(cluster)


async def test_reconnect_opens_a_new_session_at_once(cluster, start_agent):
    agent = start_agent()
    await opened(cluster)
    await asyncio.sleep(1)
    begin = asyncio.get_running_loop().time()
    agent.reconnect()
    await opened(cluster)
    assert asyncio.get_running_loop().time() - begin < 0.05


async def test_an_ack_of_an_ended_session_goes_nowhere(cluster, start_agent):
    ports = SlowPorts()
    start_agent(published_ports=ports)
    first = await opened(cluster)
    first.send(ingress=model_pb2.IngressState(version=9))
    await asyncio.sleep(1)
    first.fail(Unavailable("connection lost"))
    second = await opened(cluster)
    second.send(ingress=model_pb2.IngressState(version=4))
    await second.until(lambda s: s.count("ingress_ack"))
    assert [m.ingress_ack.version for m in second.received if m.HasField("ingress_ack")] == [4]
    assert ports.applied == [9, 4]
