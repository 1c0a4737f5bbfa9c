"""All readers of logs, and the nodes that write for them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

from core.clock import Clock
from core.errors import InvalidArgument, Unavailable
from core.ids import IdSource
from core.model import LogLine, LogOptions
from manager.logbroker.subscription import Patience, Session, Subscription
from manager.store import Commit, Store
from proto import dispatcher_pb2 as pb


class LogBroker:
    """`sessions` are the dispatcher's open ones, by node id."""

    def __init__(
        self,
        store: Store,
        sessions: Mapping[str, Session],
        clock: Clock,
        ids: IdSource,
        patience: Patience | None = None,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._clock = clock
        self._ids = ids
        self._patience = patience or Patience()
        self._subscriptions: dict[str, Subscription] = {}
        self._leading = False

    async def run(self) -> None:
        """Until cancelled: to be run only while this manager leads. Readers are told to ask again then."""
        unwatch = self._store.watch(self._take)
        self._leading = True
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._leading = False
            unwatch()
            for subscription in self._subscriptions.values():
                subscription.fail(_not_leading())

    async def logs(
        self, service_ids: Sequence[str], task_ids: Sequence[str], options: LogOptions
    ) -> AsyncGenerator[LogLine, None]:
        """Lines of these tasks and of these services' tasks: by their times, as far as TimeOrder's short wait allows,
        each task's always in its own order. What could not be had is said in lines of ours on standard error, at the
        end.

        With `options.follow` it goes on, also with tasks that come later, until all that was asked for is removed.
        Raises Unavailable if this manager does not lead, or not any more.
        """
        if not self._leading:
            raise _not_leading()
        subscription = Subscription(
            self._ids(), self._store, self._sessions, self._clock, (service_ids, task_ids), options, self._patience
        )
        self._subscriptions[subscription.id] = subscription
        try:
            subscription.begin()
            async for line in subscription.lines():
                yield line
        finally:
            del self._subscriptions[subscription.id]
            subscription.close()

    async def receive(self, node_id: str, requests: AsyncIterator[pb.PublishLogsRequest]) -> None:
        """One stream of lines, for one subscription. Raises InvalidArgument if that does not ask the node."""
        first = await anext(requests, None)
        if first is None:
            return
        subscription = self._subscriptions.get(first.subscription_id)
        if subscription is None or not subscription.asks(node_id):
            raise InvalidArgument("nobody reads this log any more")
        await subscription.receive(node_id, first, requests)

    def node_came(self, session: Session) -> None:
        for subscription in self._subscriptions.values():
            subscription.node_came(session)

    def node_left(self, session: Session) -> None:
        if self._sessions.get(session.node_id) is None:
            for subscription in self._subscriptions.values():
                subscription.node_left(session.node_id)

    def _take(self, commit: Commit) -> None:
        for subscription in self._subscriptions.values():
            subscription.observe(commit.events)


def _not_leading() -> Unavailable:
    return Unavailable("this manager does not lead; ask again")
