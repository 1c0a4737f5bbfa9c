from itertools import count

from pyswarm.cli.service.job import JobProgress
from pyswarm.cli.service.listing import mode_and_replicas
from pyswarm.cli.service.progress import Bars, PlainLines
from pyswarm.cli.service.report import Line, Report

_number = count()


def job(total: int | None = 4, at_once: int = 2, iteration: int = 0) -> dict:
    """A global one without `total`."""
    mode = (
        {"GlobalJob": {}} if total is None else {"ReplicatedJob": {"MaxConcurrent": at_once, "TotalCompletions": total}}
    )
    index = {"Index": iteration} if iteration else {}
    return {"ID": "s1", "Spec": {"Name": "j", "Mode": mode}, "JobStatus": {"JobIteration": index}}


def task(slot: int, state: str, iteration: int = 0, error: str = "", node: str = "n1") -> dict:
    return {
        **({"Slot": slot} if slot else {}),
        "NodeID": node,
        "DesiredState": "complete",
        "JobIteration": {"Index": iteration} if iteration else {},
        "Status": {"State": state, "Err": error},
    }


def texts(report: Report) -> list[str]:
    return [f"{line.label}: {line.text.strip()}" for line in report.lines]


def look(wait: JobProgress, service: dict, tasks: list[dict], now: float = 0) -> Report:
    return wait.look(service, tasks, [], now)


def test_a_job_is_done_when_as_many_have_completed_as_shall():
    wait = JobProgress()
    report = look(wait, job(3, 2), [task(0, "complete"), task(1, "running")])
    assert texts(report) == [
        "job progress: 1 out of 3 complete",
        "active tasks: 1 out of 2 tasks",
        "1/3: complete",
        "2/3: running",
    ]
    assert not report.done
    report = look(wait, job(3, 2), [task(slot, "complete") for slot in range(3)])
    assert report.done
    assert report.lines[-1] == Line("", "job complete")
    assert wait.converged


def test_of_a_slot_the_task_counts_that_has_come_least_far_and_only_this_run_counts():
    tasks = [task(0, "failed", 1, "boom"), task(0, "ready", 1), task(1, "complete", 0)]
    assert texts(look(JobProgress(), job(2, 2, iteration=1), tasks)) == [
        "job progress: 0 out of 2 complete",
        "active tasks: 1 out of 2 tasks",
        "1/2: ready",
    ]


def test_a_global_job_is_done_on_every_node_that_has_a_task():
    wait = JobProgress()
    assert texts(look(wait, job(None), [])) == ["job progress: waiting for tasks"]
    tasks = [task(0, "complete", node="n1"), task(0, "pending", node="n2", error="no room")]
    assert texts(look(wait, job(None), tasks)) == ["job progress: 1 out of 2 complete", "n1: complete", "n2: no room"]
    assert look(wait, job(None), [tasks[0]]).done


def test_a_run_in_which_nothing_is_tried_any_more_has_failed():
    wait = JobProgress()
    tasks = [task(0, "complete"), task(1, "failed", error="task: non-zero exit (1)")]
    for _ in range(2):
        assert not any(look(wait, job(2), tasks).error for _ in range(24))
        assert not look(wait, job(2), [*tasks, task(1, "new")]).error
    assert not any(look(wait, job(2), tasks).error for _ in range(24))
    assert look(wait, job(2), tasks).error == "job failed: 1 out of 2 tasks completed: task: non-zero exit (1)"


def test_a_run_has_not_failed_because_nobody_looked_for_long():
    wait, tasks = JobProgress(), [task(0, "complete"), task(1, "failed")]
    assert not any(look(wait, job(2), tasks, now=now).error for now in (0, 60, 120))


def test_many_tasks_are_not_drawn_one_by_one():
    tasks = [task(slot, "running") for slot in range(21)]
    assert texts(look(JobProgress(), job(21, 21), tasks)) == [
        "job progress: 0 out of 21 complete",
        "active tasks: 21 out of 21 tasks",
    ]


def test_a_pipe_gets_lines_and_a_terminal_bars():
    lines = look(JobProgress(), job(1, 1), [task(0, "complete")]).lines
    assert PlainLines().text_of(lines) == "active tasks: 0 out of 0 tasks\njob complete\n"
    full = f"[{'=' * 50}>]"
    assert Bars(width=100).text_of(lines).splitlines() == [
        f"\x1b[Jjob progress: 1 out of 1 complete {full}",
        "active tasks: 0 out of 0 tasks",
        f"1/1: complete  {full}",
        "job complete",
    ]


def test_ls_says_how_many_have_completed():
    status = {"RunningTasks": 1, "DesiredTasks": 2, "CompletedTasks": 3}
    assert mode_and_replicas({**job(5), "ServiceStatus": status}) == ("replicated job", "1/2 (3/5 completed)")
    assert mode_and_replicas({**job(None), "ServiceStatus": status}) == ("global job", "1/2 (3/5 completed)")
    capped = {"Mode": {"Replicated": {"Replicas": 2}}, "TaskTemplate": {"Placement": {"MaxReplicas": 4}}}
    assert mode_and_replicas({"Spec": capped, "ServiceStatus": status}) == ("replicated", "1/2 (max 4 per node)")
