"""Why tasks have the nodes they have, or none: pyswarm's own words, in Docker's manner."""

from core.model import Explanation, NodeVerdict
from pyswarm.engineapi.wire.json_types import Json, some


def show_explanation(explanation: Explanation) -> Json:
    return {
        **some(
            ServiceID=explanation.service_id,
            ServiceName=explanation.service_name,
            TaskID=explanation.task_id,
            NodeID=explanation.node_id,
        ),
        "Waiting": explanation.waiting,
        "Message": explanation.message,
        "Nodes": [_show_verdict(verdict) for verdict in explanation.nodes],
    }


def _show_verdict(verdict: NodeVerdict) -> Json:
    return {
        "ID": verdict.node_id,
        "Hostname": verdict.hostname,
        **some(Tasks=verdict.tasks, Planned=verdict.planned),
        "Objections": [{"Filter": item.filter, "Reasons": list(item.reasons)} for item in verdict.objections],
        **some(Failures=verdict.failures),
    }
