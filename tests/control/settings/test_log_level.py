"""Changes of the log level."""

from __future__ import annotations

import pytest

from tests.control.admin import TWO, AdminServer


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
async def test_a_level_takes_effect_at_once(level: str) -> None:
    async with AdminServer(TWO) as plane:
        answer = await plane.ask("POST", "/admin/log-level", json={"level": level})
        assert (answer.status, answer.json, plane.levels) == (200, {"level": level}, [level])


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        (b'{"level":"loud"}', "level", "invalid_value"),
        (b'{"level":1}', "level", "invalid_value"),
        (b"{}", "level", "invalid_value"),
        (b'{"level":"info","x":1}', "x", "invalid_value"),
        (b"[]", None, "invalid_value"),
        (b"level=info", None, "invalid_json"),
        (b'{"level":"\xff"}', None, "invalid_json"),
        (b"", None, "invalid_json"),
        (b"[" * 5000, None, "invalid_value"),
    ],
)
async def test_an_invalid_level_changes_nothing(body: bytes, param: str | None, code: str) -> None:
    async with AdminServer(TWO) as plane:
        answer = await plane.ask("POST", "/admin/log-level", body=body)
        assert (answer.status, answer.json["error"]["param"]) == (400, param)
        assert answer.json["error"]["code"] == code
        assert plane.levels == []


async def test_it_requires_the_admin() -> None:
    async with AdminServer(TWO) as plane:
        assert (await plane.fetch("POST", "/admin/log-level", json={"level": "debug"})).status == 401
        assert plane.levels == []
