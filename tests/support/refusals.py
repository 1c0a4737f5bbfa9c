"""How a call ends that is refused while its client may still be writing."""

from collections.abc import Awaitable, Callable

import grpc

FORGOTTEN = "Internal error from Core"
"""What gRPC says of a call whose status it has lost: it ended while its client was writing."""


async def refusal(call: Callable[[], Awaitable[object]]) -> grpc.aio.AioRpcError:
    """What `call` is refused with. A client of gRPC that was just writing has not heard why: it asks again."""
    while True:
        try:
            await call()
        except grpc.aio.AioRpcError as error:
            if error.details() != FORGOTTEN:
                return error
        else:
            raise AssertionError("it was not refused")
