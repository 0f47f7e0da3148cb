from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.anthropic.provider.sampling_encoder import encode_sampling
from proxy.dialects.translation.client_names import member_names
from proxy.dialects.translation.conversation import SamplingSettings
from proxy.dialects.translation.loss import Losses


def encoded(
    sampling: SamplingSettings, source: str = "openai.chat", *, taken: bool = True
) -> tuple[dict[str, Any], tuple[str, ...]]:
    losses = Losses()
    return encode_sampling(sampling, losses, member_names(source), taken=taken), losses.names


@pytest.mark.parametrize(
    ("sampling", "sent", "told"),
    [
        (SamplingSettings(), {}, ()),
        (SamplingSettings(0.0, None, 5), {"temperature": 0.0, "top_k": 5}, ()),
        (SamplingSettings(top_p=0.5), {"top_p": 0.5}, ()),
        (SamplingSettings(1.5), {"temperature": 1}, ("temperature",)),
        (SamplingSettings(0.5, 0.9), {"temperature": 0.5}, ("top_p",)),
        (SamplingSettings(1, 0.9), {"top_p": 0.9}, ()),
        (SamplingSettings(0.5, 1), {"temperature": 0.5}, ()),
    ],
)
def test_settings_are_those_that_the_api_takes(sampling: SamplingSettings, sent: Any, told: tuple[str, ...]) -> None:
    assert encoded(sampling) == (sent, told)


def test_a_model_without_sampling_loses_what_is_unusual() -> None:
    assert encoded(SamplingSettings(0.5, 0.5, 5), taken=False) == ({}, ("temperature", "top_p", "top_k"))
    assert encoded(SamplingSettings(1, 1), taken=False) == ({}, ())


def test_what_the_api_lacks_is_lost_unless_it_changes_nothing() -> None:
    names = ("seed", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs")
    others = SamplingSettings(None, None, None, 0, 0.1, 0.1, {"1": 2}, True, 3)
    assert encoded(others) == ({}, names)
    assert encoded(SamplingSettings(presence_penalty=0, frequency_penalty=0, logit_bias={}, top_logprobs=0)) == ({}, ())


def test_log_probabilities_have_the_name_that_the_client_uses() -> None:
    wanted = SamplingSettings(logprobs=True)
    assert encoded(wanted, "openai.responses") == ({}, ("include[message.output_text.logprobs]",))
