"""Every case of the table, streamed and plain, over real sockets with the client's SDK."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest

from tests.translation.cases import CASES
from tests.translation.cells import Case, missing
from tests.translation.rig import StrictProvider, served
from tests.translation.sdks import ask, sdk_of

REFUSALS: tuple[Any, ...] = (openai.BadRequestError, anthropic.BadRequestError)
TRANSLATED = [case for case in CASES if not case.refused]
REFUSED = [case for case in CASES if case.refused]
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


@STREAMED
@pytest.mark.parametrize("case", TRANSLATED, ids=[case.name for case in TRANSLATED])
async def test_a_feature_is_translated_and_its_loss_is_told(case: Case, stream: bool) -> None:
    provider = StrictProvider(case.provider, server=case.server)
    if case.answer is not None:
        provider.answers.append(case.answer)
    async with served(provider, model=case.model, at=case.server) as gw, sdk_of(case.client, gw) as sdk:
        said = await ask(case.client, sdk, case.whole_call, stream=stream)
    assert provider.refused == []
    assert provider.asked == [case.whole_sent]
    assert missing(case.gets, said.answer) == []
    assert sorted(said.dropped) == sorted(case.dropped)
    if case.client != "messages" and not stream:
        assert sorted(said.answer["_router"].get("dropped", [])) == sorted(case.dropped)


@STREAMED
@pytest.mark.parametrize("case", REFUSED, ids=[case.name for case in REFUSED])
async def test_what_cannot_be_carried_is_refused_by_the_name_of_the_member(case: Case, stream: bool) -> None:
    provider = StrictProvider(case.provider, server=case.server)
    async with served(provider, model=case.model, at=case.server) as gw, sdk_of(case.client, gw) as sdk:
        with pytest.raises(REFUSALS) as raised:
            await ask(case.client, sdk, case.whole_call, stream=stream)
    assert provider.requests == []
    error: Any = raised.value
    if case.client == "messages":
        assert (error.body["type"], error.type) == ("error", "invalid_request_error")
        assert f"'{case.refused}'" in error.body["error"]["message"]
    else:
        assert (error.param, error.type) == (case.refused, "invalid_request_error")
        assert error.code in ("untranslatable", "unsupported_state")
        assert f"'{case.refused}'" in error.message
