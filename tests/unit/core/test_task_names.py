from core.model import Task


def test_a_task_is_named_by_its_slot_or_where_the_node_is_the_slot_by_the_node():
    assert Task(id="t", service_name="web", node_id="n", slot=2).name == "web.2.t"
    assert Task(id="t", service_name="web", node_id="n").name == "web.n.t"


def test_the_slots_of_a_job_are_shown_from_0_and_the_first_is_named_by_its_node_as_docker_does():
    first, second = (Task(id="t", service_name="j", node_id="n", slot=slot, job_iteration=0) for slot in (1, 2))
    assert (first.shown_slot, first.name) == (0, "j.n.t")
    assert (second.shown_slot, second.name) == (1, "j.1.t")
    assert Task(node_id="n", job_iteration=0).shown_slot == 0
