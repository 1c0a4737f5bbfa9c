"""What the engine says of itself, or that it says nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from pyswarm.node.engine import engine_info


@asynccontextmanager
async def played_engine(path: Path, answer: web.Response) -> AsyncIterator[str]:
    async def info(request: web.Request) -> web.Response:
        return answer

    app = web.Application()
    app.router.add_get("/info", info)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    try:
        yield f"unix://{path}"
    finally:
        await runner.cleanup()


async def test_the_engines_own_words_are_passed_on(tmp_path: Path) -> None:
    async with played_engine(tmp_path / "engine", web.json_response({"ServerVersion": "20.10"})) as url:
        assert await engine_info(url) == {"ServerVersion": "20.10"}


@pytest.mark.parametrize(
    "answer",
    [
        web.json_response({"message": "broken"}, status=500),
        web.Response(text="{", content_type="application/json"),
        web.Response(text="hello"),
    ],
    ids=["an error", "half an answer", "no engine"],
)
async def test_an_answer_that_is_none_is_empty(tmp_path: Path, answer: web.Response) -> None:
    async with played_engine(tmp_path / "engine", answer) as url:
        assert await engine_info(url) == {}


@pytest.mark.parametrize("url", ["unix:///no/such/socket", "tcp://127.0.0.1:1"])
async def test_no_engine_is_empty(url: str) -> None:
    assert await engine_info(url) == {}
