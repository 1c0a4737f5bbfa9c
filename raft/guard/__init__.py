"""The rules that make the engine safe. Pure."""

from raft.guard.actions import Action, Adopt, Campaign, Deliver, Read, Readable, Reply, Stop
from raft.guard.guard import Guard
from raft.guard.view import View

__all__ = ["Action", "Adopt", "Campaign", "Deliver", "Guard", "Read", "Readable", "Reply", "Stop", "View"]
