"""How a rolling update stands, as it is written on its service: begun, waiting, finished, paused, rolled back.

The words are Docker's.
"""

from dataclasses import replace

from core.model import FailureAction, Service, ServiceSpec, UpdateConfig, UpdateState, UpdateStatus
from core.model.dependencies import key_of, name_of, noun_of, references_of
from manager.orchestrator.tasks import is_dirty, is_wanted
from manager.store import Transaction, View

ROLLING = (UpdateState.UPDATING, UpdateState.ROLLBACK_STARTED)
HALTED = (UpdateState.PAUSED, UpdateState.ROLLBACK_PAUSED)
_WAITS = ": task "
_BACKWARDS = (UpdateState.ROLLBACK_STARTED, UpdateState.ROLLBACK_PAUSED, UpdateState.ROLLBACK_COMPLETED)


def state_of(service: Service) -> UpdateState:
    return service.update_status.state if service.update_status is not None else UpdateState.UNKNOWN


def is_unfinished(service: Service) -> bool:
    """Whether an update or a rollback goes on, or is paused."""
    return state_of(service) in (*ROLLING, *HALTED)


def is_under_way(view: View, service: Service) -> bool:
    """Whether it is unfinished, or is about to begin: no controller has had its turn, and some task is to be replaced.

    What replaces no task, as a change of the replicas alone, and what is done to a job is over at once.
    """
    if service.update_status is not None or service.spec.mode.is_job:
        return is_unfinished(service)
    return any(is_wanted(task) and is_dirty(view, task, service) for task in view.tasks_of_service(service.id))


def config_of(service: Service) -> UpdateConfig:
    """How the service is to be updated now, or rolled back."""
    return (service.spec.rollback if state_of(service) in _BACKWARDS else service.spec.update) or UpdateConfig()


def begin(tx: Transaction, service: Service, now: int) -> Service:
    return _write(tx, service, UpdateStatus(UpdateState.UPDATING, started_at=now, message="update in progress"))


def wait_for(tx: Transaction, service: Service, trouble: str) -> Service:
    """Says which task an update waits for, or, if `trouble` is empty, that it goes on; of a rollback also why it is."""
    before = _status(service).message.partition(_WAITS)[0]
    message = f"{before}{_WAITS}{trouble}" if trouble else before
    if _status(service).message == message:
        return service
    return _write(tx, service, replace(_status(service), message=message))


def finish(tx: Transaction, service: Service, now: int) -> None:
    back = state_of(service) in _BACKWARDS
    state = UpdateState.ROLLBACK_COMPLETED if back else UpdateState.COMPLETED
    message = "rollback completed" if back else "update completed"
    _write(tx, service, replace(_status(service), state=state, completed_at=now, message=message))


def fail(tx: Transaction, service: Service, failure: str, now: int) -> None:
    """More tasks have failed than may, `failure` says which: pauses the update, or goes back to the spec before it. A
    rollback is never rolled back again, and there is no way back to what needs secrets or configs that are gone."""
    if state_of(service) in _BACKWARDS:
        _pause(tx, service, UpdateState.ROLLBACK_PAUSED, f"rollback paused {failure}")
    elif config_of(service).failure_action is FailureAction.ROLLBACK and service.previous_spec is not None:
        if gone := _gone(tx, service.previous_spec):
            reason = f"; it is not rolled back, since the spec before it needs what was removed: {gone}"
            _pause(tx, service, UpdateState.PAUSED, f"update paused {failure}{reason}")
            return
        message = f"update rolled back {failure}"
        former = replace(service, spec=service.previous_spec, spec_version=service.spec_version + 1, previous_spec=None)
        _write(tx, former, UpdateStatus(UpdateState.ROLLBACK_STARTED, started_at=now, message=message))
    else:
        _pause(tx, service, UpdateState.PAUSED, f"update paused {failure}")


def _gone(view: View, spec: ServiceSpec) -> str:
    """The secrets and configs that `spec` refers to and that are no more, in words.

    While an update is under way none can be removed. One that was completed begins anew when a node that was away
    comes back with a task that it has not updated.
    """
    missing = [(key_of(item), name_of(item)) for item in references_of(spec.task.container)]
    return ", ".join(f"{noun_of(key[0])} {name}" for key, name in missing if view.dependency(key) is None)


def _pause(tx: Transaction, service: Service, state: UpdateState, message: str) -> None:
    _write(tx, service, replace(_status(service), state=state, message=message))


def _status(service: Service) -> UpdateStatus:
    assert service.update_status is not None
    return service.update_status


def _write(tx: Transaction, service: Service, status: UpdateStatus) -> Service:
    tx.update(replace(service, update_status=status))
    written = tx.service(service.id)
    assert written is not None
    return written
