"""What a cluster cannot be founded with."""

from pathlib import Path

import pytest

from core.clock import MILLISECOND, SECOND
from core.errors import InvalidArgument
from core.model import ClusterSpec
from pyswarm.engineapi.ports import InitRequest
from tests.support.local_nodes import LocalNode, local_nodes


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (ClusterSpec(node_cert_expiry=60 * SECOND), "expiry must be at least 1h0m0s, not 1m0s"),
        (ClusterSpec(heartbeat_period=MILLISECOND), "heartbeat period must be at least 100ms, not 1ms"),
        (ClusterSpec(name="mine"), "its name is always 'default'"),
    ],
)
async def test_settings_that_an_update_refuses_are_refused_at_init_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: ClusterSpec, complaint: str
) -> None:
    async with local_nodes(tmp_path, 1, monkeypatch) as (node,):
        with pytest.raises(InvalidArgument, match=complaint):
            await node.api.init(InitRequest(node.addr, node.addr, spec=spec))
        assert not certificates(node)
        await node.init()
        assert certificates(node)


def certificates(node: LocalNode) -> list[Path]:
    folder = node.folder / "certificates"
    return sorted(folder.iterdir()) if folder.exists() else []
