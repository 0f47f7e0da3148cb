"""Sampling settings.

Source: https://platform.claude.com/docs/en/api/messages. Newer models refuse them, and others refuse temperature and
top_p together, and any with thinking.
"""

from __future__ import annotations

from typing import Any, Final

from proxy.dialects.translation.client_names import MemberNames
from proxy.dialects.translation.conversation import SamplingSettings
from proxy.dialects.translation.loss import Losses

_USUAL: Final = 1  # the temperature and top_p of a request that says nothing
_HIGHEST: Final = 1  # temperature; OpenAI takes 2


def encode_sampling(sampling: SamplingSettings, losses: Losses, client: MemberNames, *, taken: bool) -> dict[str, Any]:
    """The members. ``taken``: the model takes them in this request. Values that mean the usual are no loss."""
    _drop_others(sampling, losses, client)
    settings = {
        "temperature": None if sampling.temperature == _USUAL else sampling.temperature,
        "top_p": None if sampling.top_p == _USUAL else sampling.top_p,
        "top_k": sampling.top_k,
    }
    found: dict[str, Any] = {name: value for name, value in settings.items() if value is not None}
    if not taken:
        losses.drop(*found)
        return {}
    if found.get("temperature", 0) > _HIGHEST:
        found["temperature"] = _HIGHEST
        losses.drop("temperature")
    if "temperature" in found and found.pop("top_p", None) is not None:
        losses.drop("top_p")
    return found


def _drop_others(sampling: SamplingSettings, losses: Losses, client: MemberNames) -> None:
    """What the API lacks."""
    for name, value in (
        ("seed", sampling.seed is not None),
        ("presence_penalty", sampling.presence_penalty),
        ("frequency_penalty", sampling.frequency_penalty),
        ("logit_bias", sampling.logit_bias),
        (client.logprobs, sampling.logprobs),
        ("top_logprobs", sampling.top_logprobs),
    ):
        if value:
            losses.drop(name)
