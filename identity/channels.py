"""gRPC between nodes: its options, one place for all, and how a server listens and a channel is made."""

from collections.abc import Sequence

import grpc

from core.errors import Unavailable

Option = tuple[str, int | str]

MAX_REQUEST_SIZE = 16 << 20
MAX_RESPONSE_SIZE = 64 << 20
MAX_BOOTSTRAP_SIZE = 64 << 10
_MILLISECONDS = 1000

_KEEPALIVE: tuple[Option, ...] = (
    # Two seconds of silence on a connection with calls, then two more without an answer, and it is given up; but only
    # after gRPC's ping time-out of a minute if the other host still acknowledges bytes: see worker/link.py.
    ("grpc.keepalive_time_ms", 2 * _MILLISECONDS),
    ("grpc.keepalive_timeout_ms", 2 * _MILLISECONDS),
    ("grpc.http2.max_pings_without_data", 0),
)
SERVER_OPTIONS: tuple[Option, ...] = (
    *_KEEPALIVE,
    ("grpc.http2.min_ping_interval_without_data_ms", 1 * _MILLISECONDS),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.so_reuseport", 0),  # a port that another process holds is an error, not shared
    ("grpc.max_receive_message_length", MAX_REQUEST_SIZE),
    ("grpc.max_send_message_length", MAX_RESPONSE_SIZE),
)
BOOTSTRAP_SERVER_OPTIONS: tuple[Option, ...] = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MAX_BOOTSTRAP_SIZE),
    ("grpc.max_metadata_size", 8 << 10),
    ("grpc.max_concurrent_streams", 4),
    ("grpc.max_connection_age_ms", 60 * _MILLISECONDS),
)
CHANNEL_OPTIONS: tuple[Option, ...] = (
    *_KEEPALIVE,
    ("grpc.enable_http_proxy", 0),  # nodes speak to each other, whatever the environment says
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.use_local_subchannel_pool", 1),  # a new channel is a new connection, with the certificate of now
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2 * _MILLISECONDS),
    ("grpc.max_reconnect_backoff_ms", 2 * _MILLISECONDS),
    ("grpc.max_receive_message_length", MAX_RESPONSE_SIZE),
    ("grpc.max_send_message_length", MAX_REQUEST_SIZE),
)


def listen(server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials) -> int:
    """Binds `server` to `address` (host:port) and returns the port, which is chosen if it is 0.

    Raises Unavailable if it cannot.
    """
    try:
        return server.add_secure_port(address, credentials)
    except RuntimeError:
        raise Unavailable(
            f"cannot listen on {address}: another program holds that port, or the address is not of this machine"
        ) from None


def secure_channel(
    addr: str, server: str, credentials: grpc.ChannelCredentials, options: Sequence[Option] = ()
) -> grpc.aio.Channel:
    """A channel to `addr` (host:port) that accepts only a server whose certificate names `server`.

    `options` override ours of the same name.
    """
    merged = {**dict(CHANNEL_OPTIONS), **dict(options), "grpc.ssl_target_name_override": server}
    return grpc.aio.secure_channel(addr, credentials, options=list(merged.items()))
