from core.model import TaskState
from tests.support.tasks import make_task


async def test_a_task_runs_and_is_reported(cluster, start_agent):
    start_agent()
    session = await cluster.managers["m1:2377"].session()
    session.welcome()
    session.complete(make_task())
    await session.until(lambda s: s.statuses().get("task-1", make_task().status).state == TaskState.RUNNING)
    assert session.statuses()["task-1"].container.address == "172.17.0.2"
