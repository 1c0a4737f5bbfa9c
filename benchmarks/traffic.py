"""Traffic for data planes: a small server and clients, as lean as Python allows, each in a process of its own.

A client says `S` and gets a short answer, or `B` and gets bytes until it goes away.
"""

import multiprocessing
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

SHORT = b"S" * 200
ANSWER = b"A" * 1000
BULK_CHUNK = b"B" * (256 * 1024)

Address = tuple[str, int]


class Short(NamedTuple):
    """What short requests, each over a new connection, have seen."""

    seconds: float
    failed: int
    latencies: list[float]
    """Seconds from the connect to the last byte, in order of size."""

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    def percentile(self, percent: float) -> float:
        """Milliseconds."""
        if not self.latencies:
            return float("nan")
        return 1000 * self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * percent / 100))]


@contextmanager
def server() -> Iterator[Address]:
    """A server on a port of its own; it ends with the context."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        listener.setblocking(False)
        process = multiprocessing.get_context("fork").Process(target=_serve, args=(listener,), daemon=True)
        process.start()
        try:
            yield listener.getsockname()
        finally:
            process.terminate()
            process.join()


def short_requests(address: Address, seconds: float, at_once: int) -> Short:
    """Opens connections as fast as they are answered, `at_once` at any time."""
    poller = select.epoll()
    started: dict[int, tuple[socket.socket, float]] = {}
    latencies: list[float] = []
    failed = 0
    begin = time.perf_counter()
    end = begin + seconds

    def begin_one() -> None:
        sock = socket.socket()
        sock.setblocking(False)
        started[sock.fileno()] = (sock, time.perf_counter())
        sock.connect_ex(address)
        poller.register(sock.fileno(), select.EPOLLOUT)

    for _ in range(at_once):
        begin_one()
    while started:
        for fd, events in poller.poll():
            sock, since = started[fd]
            try:
                if events & select.EPOLLOUT:
                    sock.send(SHORT)
                    poller.modify(fd, select.EPOLLIN)
                    continue
                if sock.recv(65536):
                    continue
                latencies.append(time.perf_counter() - since)
            except OSError:
                failed += 1
            del started[fd]
            sock.close()
            if time.perf_counter() < end:
                begin_one()
    return Short(time.perf_counter() - begin, failed, sorted(latencies))


def bulk(address: Address, seconds: float) -> float:
    """Bytes per second that one connection brings."""
    buffer = bytearray(1 << 20)
    received = 0
    with socket.create_connection(address) as sock:
        sock.sendall(b"B" * 200)
        begin = time.perf_counter()
        while time.perf_counter() - begin < seconds:
            received += sock.recv_into(buffer)
    return received / (time.perf_counter() - begin)


@contextmanager
def bulk_meanwhile(address: Address) -> Iterator[None]:
    """One connection transfers as much as it can, in a process of its own."""
    process = multiprocessing.get_context("fork").Process(target=bulk, args=(address, 3600.0), daemon=True)
    process.start()
    time.sleep(0.5)
    try:
        yield
    finally:
        process.terminate()
        process.join()


def _serve(listener: socket.socket) -> None:
    poller = select.epoll()
    poller.register(listener.fileno(), select.EPOLLIN)
    clients: dict[int, socket.socket] = {}
    while True:
        for fd, _ in poller.poll():
            if fd == listener.fileno():
                _accept(listener, poller, clients)
                continue
            sock = clients.pop(fd)
            poller.unregister(fd)
            try:
                request = sock.recv(65536)
                if request.startswith(b"B"):
                    threading.Thread(target=_pour, args=(sock,), daemon=True).start()
                    continue
                sock.send(ANSWER)
            except OSError:
                pass
            sock.close()


def _accept(listener: socket.socket, poller: select.epoll, clients: dict[int, socket.socket]) -> None:
    for _ in range(64):
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        clients[sock.fileno()] = sock
        poller.register(sock.fileno(), select.EPOLLIN)


def _pour(sock: socket.socket) -> None:
    try:
        while True:
            sock.sendall(BULK_CHUNK)
    except OSError:
        sock.close()
