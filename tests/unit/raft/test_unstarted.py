"""A member that is given up before it starts: its manager found its port taken."""

from pathlib import Path

from core.model import Role
from manager.store import Store
from raft import open_member
from tests.support.certificates import Issuer


async def test_a_member_that_never_started_stops_and_can_be_opened_again(tmp_path: Path) -> None:
    credentials = Issuer().credentials(role=Role.MANAGER)
    for _ in range(2):
        member = open_member(tmp_path / "raft", "127.0.0.1:1", credentials, Store(), bootstrap=True)
        await member.stop()
