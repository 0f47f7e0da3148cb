"""Every case of the tables, streamed and plain, over real sockets with the client's SDK."""

from __future__ import annotations

import pytest

from tests.translation.cases import CASES
from tests.translation.cells import Case, missing
from tests.translation.rig import Gateways, StrictProvider
from tests.translation.sdks import ERRORS, ask, refusal, sdk_of

TRANSLATED = [case for case in CASES if not case.refused]
REFUSED = [case for case in CASES if case.refused]
pytestmark = pytest.mark.asyncio(loop_scope="module")
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])


@STREAMED
@pytest.mark.parametrize("case", TRANSLATED, ids=[case.name for case in TRANSLATED])
async def test_a_feature_is_translated_and_its_loss_is_told(gateways: Gateways, case: Case, stream: bool) -> None:
    provider = StrictProvider(case.provider, server=case.server)
    if case.answer is not None:
        provider.answers.append(case.answer)
    gateway = await gateways.before(provider, model=case.model, at=case.server)
    async with sdk_of(case.client, gateway) as sdk:
        said = await ask(case.client, sdk, case.whole_call, stream=stream)
    assert provider.refused == []
    assert provider.asked == [case.whole_sent]
    assert missing(case.gets, said.answer) == []
    dropped = sorted(case.dropped if stream else case.dropped + case.lost)
    assert sorted(said.dropped) == dropped
    if case.client in ("chat", "responses") and not stream:
        assert sorted(said.answer["_router"].get("dropped", [])) == dropped


@STREAMED
@pytest.mark.parametrize("case", REFUSED, ids=[case.name for case in REFUSED])
async def test_what_cannot_be_carried_is_refused_by_the_name_of_the_member(
    gateways: Gateways, case: Case, stream: bool
) -> None:
    provider = StrictProvider(case.provider, server=case.server)
    gateway = await gateways.before(provider, model=case.model, at=case.server)
    async with sdk_of(case.client, gateway) as sdk:
        with pytest.raises(ERRORS) as raised:
            await ask(case.client, sdk, case.whole_call, stream=stream)
    assert provider.requests == []
    error = refusal(raised.value)
    assert (error.status, error.kind) == (
        400,
        "INVALID_ARGUMENT" if case.client == "gemini" else "invalid_request_error",
    )
    assert f"'{case.refused}'" in error.message
    if case.client != "messages":
        assert error.member == case.refused
