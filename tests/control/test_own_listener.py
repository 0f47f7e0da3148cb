"""The control plane at an address of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.config.listening import own_settings
from proxy.config.schema import Admin, ServerSettings
from tests.support import RawClient, Upstream, completion, json_answer
from tests.support.gateway import ADMIN, Gateway, one_provider

BEARER = [("Authorization", f"Bearer {ADMIN}")]


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.on(lambda request: json_answer(completion("Hi")))
        yield upstream


async def test_health_is_served_at_both_addresses(up: Upstream, tmp_path: Path) -> None:
    async with Gateway(one_provider(up, admin={"listen": "127.0.0.1:0"}, dataDir=str(tmp_path))) as gw:
        port = int(gw.app.listeners.admin_address.rpartition(":")[2])
        assert port != gw.port
        api = await gw.client()
        async with RawClient(port) as admin:
            for path in ("/health", "/health/live", "/ready"):
                assert (await api.fetch("GET", path)).status == 200
                assert (await admin.fetch("GET", path)).status == 200
            assert (await api.fetch("OPTIONS", "/")).json == {"status": "ready"}
            for path in ("/", "/admin/state", "/auth/api-keys", "/metrics", "/health/detailed"):
                assert (await api.fetch("GET", path, headers=BEARER)).status == 404, path
                assert (await admin.fetch("GET", path, headers=BEARER)).status == 200, path
            assert (await admin.fetch("GET", "/admin/state")).status == 401
            ask = {"model": "m", "messages": []}
            assert (await admin.fetch("POST", "/v1/chat/completions", json=ask)).status == 404
            tried = {"path": "chat/completions", "body": ask}
            answer = await admin.fetch("POST", "/admin/try", json=tried, headers=BEARER)
            assert (answer.status, answer.json["choices"][0]["message"]["content"]) == (200, "Hi")
            assert (await api.fetch("POST", "/v1/chat/completions", json=ask)).status == 200
            foreign = [*BEARER, ("Origin", "https://elsewhere.example")]
            assert (await admin.fetch("GET", "/admin/state", headers=foreign)).status == 403


async def test_the_control_plane_listens_on_a_unix_socket(up: Upstream, tmp_path: Path) -> None:
    socket = str(tmp_path / "admin.sock")
    async with Gateway(one_provider(up, admin={"listen": f"unix:{socket}"})) as gw:
        assert gw.app.listeners.admin_address == f"unix:{socket}"
        async with RawClient(socket) as admin:
            assert (await admin.fetch("GET", "/admin/state", headers=BEARER)).status == 200


def test_its_unix_socket_does_not_have_the_mode_of_the_apis() -> None:
    api = ServerSettings(unix_socket="/run/api", unix_socket_mode="0666")
    own = own_settings(Admin(listen="unix:/run/admin"), api)
    assert (own.unix_socket, own.unix_socket_mode) == ("/run/admin", "")
