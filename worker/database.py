"""What the agent remembers over a restart: its tasks, their statuses, and where the managers are.

Nothing here is the only copy: tasks come again from the leader and containers carry their task's id. It is what lets
a node without any manager go on where it was. Writes are therefore gathered and written behind, one transaction for
all that a turn of the loop changed.
"""

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from core import codec
from core.errors import InvalidArgument, Unavailable
from core.logs import logger
from core.model import Task, TaskStatus
from proto import model_pb2

_SCHEMA = """
CREATE TABLE IF NOT EXISTS task (id TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS status (id TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS manager (position INTEGER PRIMARY KEY, addr TEXT NOT NULL);
"""
_RETRY_DELAY = 1.0

log = logger("worker.database")


class Database(Protocol):
    """Every write returns at once and is kept in order."""

    def tasks(self) -> list[tuple[Task, TaskStatus]]:
        """Each task with its last status. To be read before anything is written."""
        ...

    def managers(self) -> list[str]: ...

    def put_task(self, task: Task) -> None: ...

    def put_status(self, task_id: str, status: TaskStatus) -> None: ...

    def forget(self, task_id: str) -> None: ...

    def put_managers(self, addrs: Sequence[str]) -> None: ...

    async def close(self) -> None:
        """Returns when everything is on disk, or a last attempt has failed."""
        ...


class SqliteDatabase:
    """In the file `path`, readable by its owner only (environments of containers may hold secrets).

    A file that is damaged is put aside as `<path>.damaged` and a new one begun. Raises Unavailable if it cannot be
    opened at all. A failed write (disk full) is logged and tried again; meanwhile nothing stops.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._connection = _open(path)
        except (sqlite3.OperationalError, OSError) as error:
            raise Unavailable(f"cannot open {path}: {error}; check the disk and the permissions") from error
        except sqlite3.DatabaseError as error:
            log.warning("damaged database put aside; a new one is begun", path=str(path), error=str(error))
            _put_aside(path)
            self._connection = _open(path)
        self._writes: dict[tuple[str, str], bytes | None] = {}
        self._managers: Sequence[str] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._closing = False

    def tasks(self) -> list[tuple[Task, TaskStatus]]:
        rows = self._connection.execute("SELECT task.data, status.data FROM task JOIN status USING (id)")
        found = []
        for task, status in rows.fetchall():
            try:
                (known,) = codec.unpack_tasks(codec.parse(model_pb2.TaskSet, task))
                found.append((known, codec.load(TaskStatus, status)))
            except InvalidArgument as error:
                log.warning("a task that cannot be read is left out until it is assigned again", error=str(error))
        return found

    def managers(self) -> list[str]:
        return [addr for (addr,) in self._connection.execute("SELECT addr FROM manager ORDER BY position")]

    def put_task(self, task: Task) -> None:
        self._put("task", task.id, codec.pack_tasks([task]).SerializeToString())

    def put_status(self, task_id: str, status: TaskStatus) -> None:
        self._put("status", task_id, codec.dump(status))

    def forget(self, task_id: str) -> None:
        self._put("task", task_id, None)
        self._put("status", task_id, None)

    def put_managers(self, addrs: Sequence[str]) -> None:
        self._managers = addrs
        self._wake()

    async def close(self) -> None:
        self._closing = True
        while self._writer is not None and not self._writer.done():
            await self._writer
        self._connection.close()

    def _put(self, table: str, key: str, data: bytes | None) -> None:
        self._writes[table, key] = data
        self._wake()

    def _wake(self) -> None:
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_behind())

    async def _write_behind(self) -> None:
        while self._writes or self._managers is not None:
            writes, self._writes = self._writes, {}
            managers, self._managers = self._managers, None
            try:
                await asyncio.to_thread(self._write, writes, managers)
            except sqlite3.Error as error:
                log.error("cannot write", path=str(self._path), error=str(error))
                self._writes = writes | self._writes
                self._managers = managers if self._managers is None else self._managers
                if self._closing:
                    return
                await asyncio.sleep(_RETRY_DELAY)

    def _write(self, writes: dict[tuple[str, str], bytes | None], managers: Sequence[str] | None) -> None:
        with self._connection:
            for table in ("task", "status"):
                rows = [(key, data) for (of, key), data in writes.items() if of == table]
                gone = [(key,) for key, data in rows if data is None]
                kept = [row for row in rows if row[1] is not None]
                self._connection.executemany(f"DELETE FROM {table} WHERE id = ?", gone)  # noqa: S608
                self._connection.executemany(f"REPLACE INTO {table} VALUES (?, ?)", kept)  # noqa: S608
            if managers is not None:
                self._connection.execute("DELETE FROM manager")
                self._connection.executemany("INSERT INTO manager VALUES (?, ?)", list(enumerate(managers)))


class MemoryDatabase:
    """Forgets with the process: for what has nothing to remember, and simulations of many nodes in one."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self._statuses: dict[str, TaskStatus] = {}
        self._managers: Sequence[str] = ()

    def tasks(self) -> list[tuple[Task, TaskStatus]]:
        return [(task, self._statuses[key]) for key, task in self._tasks.items() if key in self._statuses]

    def managers(self) -> list[str]:
        return list(self._managers)

    def put_task(self, task: Task) -> None:
        self._tasks[task.id] = task

    def put_status(self, task_id: str, status: TaskStatus) -> None:
        self._statuses[task_id] = status

    def forget(self, task_id: str) -> None:
        self._tasks.pop(task_id, None)
        self._statuses.pop(task_id, None)

    def put_managers(self, addrs: Sequence[str]) -> None:
        self._managers = addrs

    async def close(self) -> None:
        """There is nothing to write."""


def _open(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    connection = sqlite3.connect(path, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.executescript(_SCHEMA)
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


def _put_aside(path: Path) -> None:
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.rename(path.with_name(path.name + ".damaged"))
