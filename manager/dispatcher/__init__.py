"""Leader and agents: sessions, who is alive, what each node shall run, and which tasks answer published ports."""

from manager.dispatcher.dispatcher import Dispatcher
from manager.dispatcher.orphans import Orphans
from manager.dispatcher.servicer import DispatcherServicer

__all__ = ["Dispatcher", "DispatcherServicer", "Orphans"]
