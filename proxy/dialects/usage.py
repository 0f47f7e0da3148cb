"""Token usage of one answer, in disjoint classes."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType


class UsageDetails(Struct, frozen=True, gc=False):
    """The classes that few answers have, and what else a provider tells of what it bills.

    ``cache_write``: written to a cache for the provider's usual time (5 minutes at Anthropic); ``cache_write_1h``: for
    an hour or longer. ``images``: number of images that were made. ``audio_ms``: duration of what was transcribed,
    where the provider counts no tokens. ``web_searches``: made by the provider. ``service_tier``: as the provider names
    it, ``""``: the standard one. ``reported_cost``: nano-USD. ``other_models``: other models had a part in the answer,
    whose prices are not those of this one.
    """

    cache_write: int | None = None
    cache_write_1h: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    image_input: int | None = None
    image_output: int | None = None
    images: int | None = None
    audio_ms: int | None = None
    web_searches: int | None = None
    service_tier: str = ""
    reported_cost: int | None = None
    other_models: bool = False


class Usage(Struct, frozen=True, gc=False, rename={"cache_read": "cached"}):
    """Tokens by class. No token is in two classes; ``None`` is a count that the provider did not report.

    ``input`` and ``output`` are what belongs to no other class of their side. Without ``details`` its JSON is what
    logs and the API show.
    """

    input: int | None = None
    cache_read: int | None = None
    output: int | None = None
    reasoning: int | None = None
    details: UsageDetails | UnsetType = UNSET

    def summed(self) -> Usage:
        """The same with the details added to ``input`` and ``output``."""
        details = self.details
        if details is UNSET:
            return self
        input_, output = self.input, self.output
        if input_ is not None:
            input_ += (details.cache_write or 0) + (details.cache_write_1h or 0)
            input_ += (details.audio_input or 0) + (details.image_input or 0)
        if output is not None:
            output += (details.audio_output or 0) + (details.image_output or 0)
        return Usage(input_, self.cache_read, output, self.reasoning)

    @property
    def known_tokens(self) -> int:
        """The sum of all counts of tokens that are known."""
        found = (self.input or 0) + (self.cache_read or 0) + (self.output or 0) + (self.reasoning or 0)
        details = self.details
        if details is UNSET:
            return found
        found += (details.cache_write or 0) + (details.cache_write_1h or 0)
        found += (details.audio_input or 0) + (details.audio_output or 0)
        return found + (details.image_input or 0) + (details.image_output or 0)

    @property
    def total_input(self) -> int | None:
        """All that the model was given to read; ``None``: not known."""
        usage = self.summed()
        return None if usage.input is None else usage.input + (usage.cache_read or 0)

    @property
    def total_output(self) -> int | None:
        """All that the model generated; ``None``: not known."""
        usage = self.summed()
        return None if usage.output is None else usage.output + (usage.reasoning or 0)
