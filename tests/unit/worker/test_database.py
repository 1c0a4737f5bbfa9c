import asyncio
import sqlite3
import stat

import pytest

from core.errors import Unavailable
from core.model import ContainerStatus, TaskState, TaskStatus
from tests.support.tasks import make_task
from worker.database import SqliteDatabase

STATUS = TaskStatus(
    timestamp=5, state=TaskState.RUNNING, container=ContainerStatus(container_id="c", address="1.2.3.4")
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "worker.db"


async def filled(path):
    database = SqliteDatabase(path)
    for task_id in ("a", "b"):
        database.put_task(make_task(task_id, ingress=True))
        database.put_status(task_id, STATUS)
    database.put_managers(["m1:2377", "m2:2377"])
    return database


async def test_AGT_06_everything_is_there_after_a_restart(path):
    database = await filled(path)
    database.put_status("b", TaskStatus(state=TaskState.FAILED, err="why"))
    await database.close()
    again = SqliteDatabase(path)
    known = {task.id: (task, status) for task, status in again.tasks()}
    assert known["a"] == (make_task("a", ingress=True), STATUS)
    assert known["b"][1] == TaskStatus(state=TaskState.FAILED, err="why")
    assert again.managers() == ["m1:2377", "m2:2377"]
    await again.close()


async def test_what_is_forgotten_is_gone(path):
    database = await filled(path)
    await asyncio.sleep(0)
    database.forget("a")
    database.put_managers(["m3:2377"])
    await database.close()
    again = SqliteDatabase(path)
    assert [task.id for task, _ in again.tasks()] == ["b"]
    assert again.managers() == ["m3:2377"]
    await again.close()


async def test_a_turns_writes_go_in_one_transaction_off_the_loop(path):
    database = SqliteDatabase(path)
    statements = []
    database._connection.set_trace_callback(statements.append)
    for number in range(100):
        database.put_task(make_task(f"task-{number}"))
        database.put_status(f"task-{number}", STATUS)
    assert statements == []
    await database.close()
    assert statements.count("COMMIT") == 1
    assert sum(statement.startswith("REPLACE") for statement in statements) == 200


async def test_only_the_owner_can_read_it(path):
    database = await filled(path)
    await asyncio.sleep(0.1)
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    await database.close()


@pytest.mark.parametrize(
    "damage", [b"this is no database at all, but it is long enough to be read as a header" * 50, None]
)
async def test_a_damaged_file_is_put_aside_and_a_new_one_begun(path, damage):
    database = await filled(path)
    for number in range(200):
        database.put_task(make_task(f"task-{number}"))
    await database.close()
    content = bytearray(path.read_bytes())
    content[8192:16384] = b"\xff" * 8192
    path.write_bytes(damage or bytes(content))
    again = SqliteDatabase(path)
    assert again.tasks() == []
    assert (path.parent / "worker.db.damaged").exists()
    again.put_task(make_task("new"))
    again.put_status("new", STATUS)
    await again.close()
    assert [task.id for task, _ in SqliteDatabase(path).tasks()] == ["new"]


async def test_a_row_that_cannot_be_read_is_left_out(path):
    database = await filled(path)
    await database.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE task SET data = x'ffff' WHERE id = 'a'")
    assert [task.id for task, _ in SqliteDatabase(path).tasks()] == ["b"]


async def test_a_file_that_cannot_be_opened_is_told(tmp_path):
    (tmp_path / "worker.db").mkdir()
    with pytest.raises(Unavailable, match="cannot open"):
        SqliteDatabase(tmp_path / "worker.db")


async def test_a_full_disk_is_waited_out(path):
    database = await filled(path)
    await database._writer
    (pages,) = database._connection.execute("PRAGMA page_count").fetchone()
    database._connection.execute(f"PRAGMA max_page_count = {pages}")
    for number in range(200):
        database.put_task(make_task(f"task-{number}"))
        database.put_status(f"task-{number}", STATUS)
    await asyncio.sleep(5)
    assert not database._writer.done()
    database._connection.execute("PRAGMA max_page_count = 100000")
    await database._writer
    assert len(database.tasks()) == 202
    await database.close()


async def test_a_full_disk_does_not_hold_up_the_end(path):
    database = await filled(path)
    await database._writer
    (pages,) = database._connection.execute("PRAGMA page_count").fetchone()
    database._connection.execute(f"PRAGMA max_page_count = {pages}")
    for number in range(200):
        database.put_task(make_task(f"task-{number}"))
    await database.close()
    assert len(SqliteDatabase(path).tasks()) == 2
