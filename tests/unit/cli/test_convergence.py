import itertools

from hypothesis import given
from hypothesis import strategies as st

from pyswarm.cli.service.convergence import Convergence
from pyswarm.cli.service.progress import Bars, PlainLines
from pyswarm.cli.service.report import STATES, Line, Report

NODES = [{"ID": "n1", "Status": {"State": "ready"}}, {"ID": "n2", "Status": {"State": "ready"}}]
DOWN = [NODES[0], {"ID": "n2", "Status": {"State": "down"}}]
_number = itertools.count()


def service(replicas: int | None = 2, state: str = "", message: str = "", monitor: int = 0) -> dict:
    mode = {"Global": {}} if replicas is None else {"Replicated": {"Replicas": replicas}}
    update = {"UpdateStatus": {"State": state, "Message": message}} if state else {}
    config = {"UpdateConfig": {"Monitor": monitor}} if monitor else {}
    return {"ID": "s1", "Spec": {"Name": "web", "Mode": mode, **config}, **update}


def task(slot: int, state: str, desired: str = "running", error: str = "", node: str = "n1") -> dict:
    return {
        "Slot": slot,
        "NodeID": node,
        "DesiredState": desired,
        "CreatedAt": f"2026-11-21T07:06:20.{next(_number):09}Z",
        "Status": {"State": state, "Err": error},
    }


def texts(report: Report) -> list[str]:
    return [f"{line.label}: {line.text.strip()}" for line in report.lines]


def test_a_service_has_converged_when_all_run_and_still_do_after_the_monitoring_period():
    convergence = Convergence("web")
    report = convergence.look(service(), [task(1, "running"), task(2, "starting")], NODES, 0)
    assert texts(report) == ["overall progress: 1 out of 2 tasks", "1/2: running", "2/2: starting"]
    running = [task(1, "running"), task(2, "running")]
    assert texts(convergence.look(service(), running, NODES, 10))[-1] == (
        "verify: Waiting 5 seconds to verify that tasks are stable..."
    )
    assert not convergence.look(service(), running, NODES, 14.9).done
    report = convergence.look(service(), running, NODES, 15)
    assert report.done
    assert texts(report)[-1] == "verify: Service web converged"


def test_the_seconds_that_are_left_are_counted_down():
    convergence, display, running = Convergence("web"), PlainLines(), [task(1, "running")]
    said = [display.text_of(convergence.look(service(1), running, NODES, look / 5).lines) for look in range(26)]
    assert "".join(said).splitlines() == [
        "overall progress: 1 out of 1 tasks",
        *(f"verify: Waiting {seconds} seconds to verify that tasks are stable..." for seconds in (5, 4, 3, 2, 1)),
        "verify: Service web converged",
    ]


def test_the_monitoring_period_is_the_updates():
    convergence = Convergence("web")
    running = [task(1, "running")]
    assert not convergence.look(service(1, monitor=10**9), running, NODES, 0).done
    assert convergence.look(service(1, monitor=10**9), running, NODES, 1).done


def test_a_task_that_fails_while_it_is_verified_begins_it_anew():
    convergence = Convergence("web")
    convergence.look(service(1), [task(1, "running")], NODES, 0)
    failing = [task(1, "failed", "shutdown", "task: non-zero exit (1)"), task(1, "ready", "ready")]
    report = convergence.look(service(1), failing, NODES, 4)
    assert texts(report) == [
        "overall progress: 0 out of 1 tasks",
        "1/1: task: non-zero exit (1)",
        "verify: Detected task failure",
    ]
    assert not convergence.look(service(1), [task(1, "running")], NODES, 5).done
    assert not convergence.look(service(1), [task(1, "running")], NODES, 9).done
    assert convergence.look(service(1), [task(1, "running")], NODES, 10).done


def test_the_error_of_a_task_is_shown_until_its_slot_runs_again():
    convergence = Convergence("web")
    failed = task(1, "failed", "shutdown", "exit\n(1) " + "x" * 80)
    report = convergence.look(service(1), [failed, task(1, "preparing")], NODES, 0)
    assert report.lines[1].text.startswith("exit (1) x")
    assert len(report.lines[1].text) == 75
    report = convergence.look(service(1), [failed, task(1, "running")], NODES, 0)
    assert texts(report)[1] == "1/1: running"


def test_a_task_that_waits_says_why():
    report = Convergence("web").look(service(1), [task(1, "pending", error="no suitable node")], NODES, 0)
    assert texts(report) == ["overall progress: 0 out of 1 tasks", "1/1: no suitable node"]


def test_a_paused_update_is_an_error_even_if_all_tasks_run():
    running = [task(1, "running")]
    report = Convergence("web").look(service(1, "paused", "update paused due to failure"), running, NODES, 0)
    assert (report.done, report.error) == (False, "service update paused: update paused due to failure")
    report = Convergence("web").look(service(1, "rollback_paused", "why"), running, NODES, 0)
    assert report.error == "service rollback paused: why"


def test_nothing_has_converged_while_its_update_goes_on():
    convergence = Convergence("web")
    running = [task(1, "running")]
    for now in (0, 100):
        assert not convergence.look(service(1, "updating"), running, NODES, now).done
    assert convergence.look(service(1, "completed"), running, NODES, 101).done


def test_a_rollback_is_named_as_one():
    convergence = Convergence("web")
    report = convergence.look(service(1, "rollback_started", "manually requested rollback"), [], NODES, 0)
    assert texts(report) == [
        "rollback: manually requested rollback",
        "overall progress: rolling back update: 0 out of 1 tasks",
    ]
    ended = service(1, "rollback_completed", "rollback completed")
    convergence.look(ended, [task(1, "running")], NODES, 1)
    assert texts(convergence.look(ended, [task(1, "running")], NODES, 6))[-2:] == [
        "verify: Service web converged",
        "rollback: rollback completed",
    ]


def test_tasks_that_are_to_end_or_are_on_a_lost_node_do_not_count():
    convergence = Convergence("web")
    report = convergence.look(service(1), [task(1, "running"), task(2, "running", "shutdown")], NODES, 0)
    assert texts(report)[0] == "overall progress: 1 out of 1 tasks"
    report = convergence.look(service(1), [task(1, "running", node="n2")], DOWN, 0)
    assert texts(report)[0] == "overall progress: 0 out of 1 tasks"
    report = convergence.look(service(1), [task(1, "running"), task(2, "running")], NODES, 0)
    assert texts(report)[0] == "overall progress: 2 out of 1 tasks"


def test_a_global_service_runs_on_every_node_that_is_there():
    convergence = Convergence("web")
    assert texts(convergence.look(service(None), [], NODES, 0)) == ["overall progress: waiting for new tasks"]
    assert not convergence.look(service(None), [], NODES, 100).done
    tasks = [task(0, "running", node="n1"), task(0, "starting", node="n2")]
    assert texts(convergence.look(service(None), tasks, NODES, 0)) == [
        "overall progress: 1 out of 2 tasks",
        "n1: running",
        "n2: starting",
    ]
    convergence.look(service(None), tasks, DOWN, 1)
    assert convergence.look(service(None), tasks, DOWN, 6).done


def test_slots_are_numbered_without_gaps_and_many_are_not_drawn():
    report = Convergence("web").look(service(2), [task(10, "ready"), task(9, "running")], NODES, 0)
    assert texts(report)[1:] == ["1/2: running", "2/2: ready"]
    many = [task(slot, "running") for slot in range(1, 22)]
    assert len(Convergence("web").look(service(30), many, NODES, 0).lines) == 1


def test_no_replicas_converge_as_well():
    convergence = Convergence("web")
    assert texts(convergence.look(service(0), [], NODES, 0))[0] == "overall progress: 0 out of 0 tasks"
    assert convergence.look(service(0), [], NODES, 5).done


tasks_of_any_kind = st.lists(
    st.builds(
        task,
        st.integers(1, 3),
        st.sampled_from([*STATES, "failed", "shutdown", "orphaned"]),
        st.sampled_from(["ready", "running", "shutdown", "remove"]),
        st.sampled_from(["", "boom"]),
    )
)


@given(st.lists(tasks_of_any_kind, min_size=1), st.integers(0, 3), st.sampled_from(["", "updating", "completed"]))
def test_done_is_said_only_with_as_many_running_as_are_wanted(looks, replicas, state):
    convergence = Convergence("web")
    for now, tasks in enumerate(looks):
        report = convergence.look(service(replicas, state), tasks, NODES, now * 3.0)
        if report.done:
            slots = {each["Slot"] for each in tasks if each["Status"]["State"] == "running"}
            assert len(slots) >= replicas
            assert state != "updating"
            assert now > 0


def test_plain_lines_are_written_when_they_change_and_without_bars():
    display = PlainLines()
    first = [Line("overall progress", "0 out of 1 tasks"), Line("1/1", "ready", 7)]
    assert display.text_of(first) == "overall progress: 0 out of 1 tasks\n"
    assert display.text_of(first) == ""
    assert display.text_of([first[0], Line("1/1", "boom")]) == "1/1: boom\n"


def test_bars_are_drawn_over_themselves_and_fit_the_terminal():
    display = Bars(width=80)
    first = display.text_of([Line("overall progress", "0 out of 1 tasks"), Line("1/1", "running  ", 9)])
    assert first.splitlines() == ["\x1b[Joverall progress: 0 out of 1 tasks", f"1/1: running   [{'=' * 50}>]"]
    second = display.text_of([Line("overall progress", "1 out of 1 tasks")])
    assert second == "\x1b[2A\x1b[Joverall progress: 1 out of 1 tasks\n"
    assert display.text_of([Line("overall progress", "1 out of 1 tasks")]) == ""
    assert Bars(width=30).text_of([Line("1/1", "new      ", 1)]) == "\x1b[J1/1: new      \n"
    assert len(Bars(width=20).text_of([Line("1/1", "x" * 75)])) == len("\x1b[J") + 19 + 1
