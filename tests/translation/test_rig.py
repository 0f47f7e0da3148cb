"""The strict providers without a translation: they take what the SDKs send them, and the SDKs read what they answer."""

from __future__ import annotations

import anthropic
import openai
import pytest

from tests.translation.cells import CALLS, HI, missing
from tests.translation.rig import FINE, StrictProvider, served
from tests.translation.sdks import ask, sdk_of

GETS = {
    "chat": {"choices": [{"message": {"content": FINE}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 100}},
    "messages": {
        "content": [{"type": "text", "text": FINE}],
        "stop_reason": "end_turn",
        "usage": {"output_tokens": 30},
    },
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("api", GETS)
async def test_a_client_of_the_same_api_is_served(api: str, stream: bool) -> None:
    provider = StrictProvider(api, heads=False)
    async with served(provider) as gw, sdk_of(api, gw) as sdk:
        said = await ask(api, sdk, CALLS[api], stream=stream)
    assert missing(GETS[api], said.answer) == []
    assert (said.dropped, provider.refused) == ([], [])


async def test_a_request_that_breaks_a_rule_is_refused() -> None:
    provider = StrictProvider("chat", heads=False)
    async with served(provider) as gw, sdk_of("chat", gw) as sdk:
        with pytest.raises(openai.BadRequestError, match="tool_choice: only allowed with tools"):
            await ask("chat", sdk, {"model": "m", "messages": [HI], "tool_choice": "auto"}, stream=False)
    assert provider.asked == []


@pytest.mark.parametrize("api", GETS)
async def test_a_header_of_another_api_is_refused(api: str) -> None:
    """The SDKs' own headers pass where nothing is translated."""
    provider = StrictProvider(api)
    async with served(provider) as gw, sdk_of(api, gw) as sdk:
        with pytest.raises((openai.BadRequestError, anthropic.BadRequestError), match="header of another API"):
            await ask(api, sdk, CALLS[api], stream=False)
