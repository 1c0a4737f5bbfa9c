"""One node: its machine and engine, and the agent that hears late, reports late, and goes on as the product's does."""

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from core.clock import SECOND
from core.codec import unpack_tasks
from core.model import ContainerStatus, NodeDescription, Task, TaskState, TaskStatus
from core.model.dependencies import key_of, references_of
from manager.dispatcher.assignments import NodeAssignments
from proto import dispatcher_pb2 as pb
from tests.support.cluster_sim import images
from worker.machine import Call, Observed, Step, failed, next_step, succeeded, updated

if TYPE_CHECKING:
    from tests.support.cluster_sim.world import World

ENGINE_PATIENCE = 15 * SECOND
"""An engine that is away for longer takes its node down."""
STOP_TIME = 3 * SECOND


@dataclass
class Held:
    """A task as its agent knows it."""

    task: Task
    status: TaskStatus
    step: Step | None = None
    turn: int = 0
    """Of steps: what an interrupted one comes to is of no interest."""


class SimAgent:
    def __init__(self, world: "World", node_id: str, description: NodeDescription) -> None:
        self.id = node_id
        self.description = description
        self.connected = False
        self.silent_since = 0
        self.held: dict[str, Held] = {}
        self.running: dict[str, Task] = {}
        """Containers that really run, from the moment they are started until they have stopped."""
        self.data: set[str] = set()
        """Ids of the secrets and configs that it holds."""
        self.lost: set[str] = set()
        """Tasks whose node was down, or gone: nobody waits for them."""
        self._world = world
        self._session = 0
        self._assignments = NodeAssignments(node_id)
        self._sequence = 0
        self._heard_at = 0
        self._reported_at = 0
        self._telling = False
        self._engine_back = 0

    # -- the connection

    def connect(self) -> None:
        """Registers; then everything is told anew, both ways."""
        self.connected = True
        self._world.cluster.suspects.discard(self.id)
        self._session += 1
        self._sequence = 0
        self._assignments = NodeAssignments(self.id)
        self._telling = False
        self._world.register(self.id, self.description)
        if self.description.engine_error:
            # Down: what its containers do meanwhile nobody waits for.
            self.lose_all()
        for task_id in self.held:
            self._report(task_id)
        self.touch(None)

    def cut(self) -> None:
        """The connection is gone; the node is suspected until it is known to be down, or comes back."""
        if self.connected:
            self.connected = False
            self.silent_since = self._world.now
            self._world.cluster.suspects.add(self.id)
            self._session += 1

    def lose_all(self) -> None:
        self.lost |= self.held.keys()

    def touch(self, task_id: str | None) -> None:
        """Something that the node is told of has changed; what changes before the message leaves goes with it."""
        if task_id is not None:
            self._assignments.touch(task_id)
        if self.connected and not self._telling:
            self._telling = True
            session = self._session
            self._world.after(0, lambda: self._send(session))

    def _send(self, session: int) -> None:
        if session != self._session:
            return
        self._telling = False
        view, released = self._world.cluster.store, lambda task: task.desired_state > TaskState.RUNNING
        for message in self._assignments.next(view, released):
            self._heard_at = max(self._heard_at, self._world.now + self._world.latency())
            self._world.after(self._heard_at - self._world.now, partial(self._hear, session, message))

    def _hear(self, session: int, message: pb.Assignments) -> None:
        if session != self._session:
            return
        assert message.applies_to == self._sequence, "an assignment was lost"
        self._sequence = message.results_in
        self._keep(message)
        # A message's order means nothing, and may differ where the same seed runs again.
        tasks = sorted(unpack_tasks(message.tasks), key=lambda task: task.id)
        gone = sorted(message.removed)
        if message.kind == pb.Assignments.COMPLETE:
            told = {task.id for task in tasks}
            gone = [task_id for task_id in self.held if task_id not in told]
        for task_id in gone:
            if (held := self.held.pop(task_id, None)) is not None:
                self._forget(held)
        for task in tasks:
            held = self.held.setdefault(task.id, Held(task, task.status))
            held.task = updated(held.task, task)
            self._consider(task.id)

    def _keep(self, message: pb.Assignments) -> None:
        """The data that its tasks use."""
        if message.kind == pb.Assignments.COMPLETE:
            self.data.clear()
        self.data |= {item.id for item in (*message.secrets, *message.configs)}
        self.data -= {*message.removed_secrets, *message.removed_configs}

    def _report(self, task_id: str) -> None:
        session, status = self._session, self.held[task_id].status
        self._reported_at = max(self._reported_at, self._world.now + self._world.latency())

        def arrive() -> None:
            if session == self._session:
                self._world.cluster.report_status(self.id, task_id, status)

        self._world.after(self._reported_at - self._world.now, arrive)

    # -- the machine and its engine

    def die(self, seconds: int) -> None:
        """The whole machine is off for so long."""
        self.cut()
        self._kill_all()
        self._engine_back = max(self._engine_back, self._world.now + seconds * SECOND)

    def break_engine(self, seconds: int, containers_die: bool) -> None:
        self._engine_back = max(self._engine_back, self._world.now + seconds * SECOND)
        if containers_die:
            self._kill_all()
        if seconds * SECOND > ENGINE_PATIENCE:
            self._world.after(ENGINE_PATIENCE, lambda: self._describe("the engine does not answer"))
            self._world.after(seconds * SECOND, lambda: self._describe(""))

    def repair(self) -> None:
        self._engine_back = self._world.now

    def _describe(self, engine_error: str) -> None:
        """Another description opens another session."""
        back = engine_error == "" and self._world.now >= self._engine_back
        if engine_error or back:
            self.description = replace(self.description, engine_error=engine_error)
            if self.connected:
                self.connect()

    def _kill_all(self) -> None:
        for task_id in list(self.running):
            del self.running[task_id]
            if (held := self.held.get(task_id)) is not None:
                self._end(held, "container was killed")

    # -- what it does

    def exit(self, task_id: str, reason: str) -> None:
        """A container ends by itself; well, if there is no reason."""
        held = self.held.get(task_id)
        if self.running.pop(task_id, None) is None or held is None:
            return
        if reason or held.step is None or held.step.call is not Call.WAIT:
            self._end(held, reason or "ended while it was starting")
        else:
            self._become(held, succeeded(held.status, held.step, self._seen(0), self._world.now))

    def talk(self, task_id: str) -> None:
        """Says more of a task that is what it was."""
        held = self.held[task_id]
        held.status = replace(held.status, message=f"{held.status.state.name.lower()} at {self._world.now}")
        if self.connected:
            self._report(task_id)

    def _consider(self, task_id: str) -> None:
        """As the product's task manager: one step after another, and stopping breaks off any other."""
        held = self.held.get(task_id)
        if held is None:
            return
        step = next_step(held.status.state, held.task.desired_state, released=True)
        if step is None or step is held.step or (held.step is not None and step.call is not Call.SHUTDOWN):
            return
        if step.call is not None and self._world.now < self._engine_back:
            self._world.after(self._engine_back - self._world.now, lambda: self._consider(task_id))
            return
        held.step = step
        held.turn += 1
        if step.call is Call.START:
            if self._lacks_data(held.task):
                self._end(held, "a secret or config is not there any more")
                return
            self.running[task_id] = held.task
        time = self._duration(held, step)
        if time is not None:
            turn = held.turn
            self._world.after(time, lambda: self._finish(held, step, turn))

    def _lacks_data(self, task: Task) -> bool:
        """Whether some of what it uses was removed, as may be when its service has left it behind by two specs."""
        missing = [key for key in map(key_of, references_of(task.spec.container)) if key[1] not in self.data]
        known = [key for key in missing if self._world.cluster.store.dependency(key)]
        assert not known, f"{task.id} starts without {known}"
        return bool(missing)

    def _duration(self, held: Held, step: Step) -> int | None:
        rng, image = self._world.rng, held.task.spec.container.image
        if step.call is Call.PREPARE:
            return images.pull_time(rng, image)
        if step.call is Call.START:
            return images.start_time(rng, image)
        if step.call is Call.WAIT:
            return images.life_time(rng, image, held.task.job_iteration is not None)
        return rng.randrange(STOP_TIME) if step.call is Call.SHUTDOWN else 0

    def _finish(self, held: Held, step: Step, turn: int) -> None:
        if held.turn != turn or held.step is not step:
            return
        if step.call is not None and self._world.now < self._engine_back:
            self._world.after(self._engine_back - self._world.now, lambda: self._finish(held, step, turn))
            return
        reason = self._failure(held, step)
        if step.call in (Call.SHUTDOWN, Call.WAIT) or reason:
            self.running.pop(held.task.id, None)
        if reason:
            self._end(held, reason)
        else:
            self._become(held, succeeded(held.status, step, self._seen(0), self._world.now))

    def _failure(self, held: Held, step: Step) -> str:
        image = held.task.spec.container.image
        if step.call is Call.PREPARE and image == images.MISSING:
            return "No such image"
        if step.call is Call.START and image == images.SICK:
            return "unhealthy container"
        if step.call is Call.WAIT:
            if held.task.job_iteration is None:
                return "unhealthy container" if image == images.AILING else "task: non-zero exit (1)"
            if self._world.rng.random() < images.FLAKY_JOBS and not self._world.peace:
                return "task: non-zero exit (1)"
        return ""

    def _end(self, held: Held, reason: str) -> None:
        self._become(held, failed(held.status, reason, self._seen(1), self._world.now))

    def _become(self, held: Held, status: TaskStatus) -> None:
        held.status, held.step = status, None
        held.turn += 1
        if held.task.id in self.held:
            if self.connected:
                self._report(held.task.id)
            self._consider(held.task.id)

    def _forget(self, held: Held) -> None:
        """Its container stops, whatever was to become of it."""
        held.turn += 1
        self._world.after(self._world.rng.randrange(STOP_TIME), lambda: self.running.pop(held.task.id, None))

    def _seen(self, exit_code: int) -> Observed:
        return Observed(ContainerStatus("c" * 64, 1, exit_code, "172.17.0.2"))
