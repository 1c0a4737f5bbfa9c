from core.model import TaskState, TaskStatus
from worker.reporter import Reporter

RUNNING, FAILED = TaskStatus(state=TaskState.RUNNING), TaskStatus(state=TaskState.FAILED)
STARTING = TaskStatus(state=TaskState.STARTING)


def states(report):
    return {update.task_id: TaskState(update.status.state) for update in report.updates}


def test_AGT_07_only_the_newest_status_of_a_task_is_sent():
    reporter = Reporter()
    reporter.report("a", STARTING)
    reporter.report("b", STARTING)
    reporter.report("a", RUNNING)
    assert states(reporter.take()) == {"a": TaskState.RUNNING, "b": TaskState.STARTING}


def test_AGT_07_each_status_is_delivered_once():
    reporter = Reporter()
    reporter.report("a", RUNNING)
    report = reporter.take()
    assert reporter.take() is None
    reporter.acked(report.sequence)
    assert reporter.take() is None


def test_AGT_07_what_happens_while_a_report_is_under_way_goes_with_the_next():
    reporter = Reporter()
    reporter.report("a", STARTING)
    first = reporter.take()
    reporter.report("a", RUNNING)
    reporter.report("b", RUNNING)
    assert reporter.take() is None
    reporter.acked(first.sequence)
    second = reporter.take()
    assert states(second) == {"a": TaskState.RUNNING, "b": TaskState.RUNNING}
    assert second.sequence > first.sequence


def test_AGT_07_what_is_not_acked_is_sent_again_with_what_is_newer():
    reporter = Reporter()
    reporter.report("a", STARTING)
    reporter.report("b", STARTING)
    first = reporter.take()
    reporter.report("a", FAILED)
    reporter.retry()
    second = reporter.take()
    assert states(second) == {"a": TaskState.FAILED, "b": TaskState.STARTING}
    reporter.acked(first.sequence)
    assert reporter.take() is None
    reporter.retry()
    assert states(reporter.take()) == states(second)


def test_AGT_07_a_new_session_hears_everything():
    reporter = Reporter()
    reporter.report("a", STARTING)
    reporter.take()
    reporter.restart({"a": RUNNING, "b": FAILED})
    assert states(reporter.take()) == {"a": TaskState.RUNNING, "b": TaskState.FAILED}


def test_nothing_is_said_of_a_forgotten_task():
    reporter = Reporter()
    reporter.report("a", RUNNING)
    reporter.forget("a")
    assert reporter.take() is None
    reporter.report("b", RUNNING)
    reporter.take()
    reporter.forget("b")
    reporter.retry()
    assert reporter.take() is None


def test_whoever_sends_is_told_when_there_is_something():
    told = []
    reporter = Reporter()
    reporter.on_pending = lambda: told.append("pending")
    reporter.report("a", RUNNING)
    assert told == ["pending"]
