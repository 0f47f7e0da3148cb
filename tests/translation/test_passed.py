"""A provider that speaks the client's API: each call of the tables passes as the SDK sent it, byte for byte."""

from __future__ import annotations

from typing import Any

import pytest

from tests.translation import google_sdk
from tests.translation.cases import FEATURES
from tests.translation.cells import APIS, CALLS, Api, Feature, merged
from tests.translation.rig import Gateways, StrictProvider, events_of
from tests.translation.sdks import read, sdk_of

PATCHED = ("Billing line of Claude Code",)  # left out before any server but Anthropic's own
CALLED = [
    (feature, api)
    for feature in FEATURES
    for api in APIS
    if api in (feature.call or APIS) and feature.row not in PATCHED
]
pytestmark = pytest.mark.asyncio(loop_scope="module")
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


@STREAMED
@pytest.mark.parametrize(
    ("feature", "api"), CALLED, ids=["-".join(filter(None, (each.row, each.variant, api))) for each, api in CALLED]
)
async def test_a_call_passes_unchanged(gateways: Gateways, feature: Feature, api: Api, stream: bool) -> None:
    provider = StrictProvider(api, heads=False, bodies=False)
    answer = feature.answer.get(api, provider.scripted.answer)
    provider.answers.append(answer)
    call, sent = merged(CALLS[api], feature.call.get(api, {})), list[Any]()

    async def note(request: Any) -> None:
        sent.append(request.content)

    async with sdk_of(api, await gateways.before(provider, model="m"), on_request=note) as sdk:
        if api == "gemini":
            _, headers, chunks = await google_sdk.generate(sdk, call, streamed=stream)
        else:
            raw, chunks = await read(api, sdk, call, stream=stream)
            headers = raw.headers
    assert [request.body for request in provider.requests] == sent
    assert len(sent) == 1
    assert "x-router-dropped" not in headers
    if stream:
        assert len(chunks) >= len(events_of(api, answer)) - 2  # ``[DONE]`` and a ping are no chunks
