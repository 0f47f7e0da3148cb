"""Token usage of one answer, in disjoint classes."""

from __future__ import annotations

from msgspec import Struct


class TokenCounts(Struct, frozen=True, gc=False):
    """The four classes that logs, metrics and the API show.

    ``input`` is what was not read from a cache, ``output`` what is not reasoning.
    """

    input: int | None
    cached: int | None
    output: int | None
    reasoning: int | None


class Usage(Struct, frozen=True, gc=False):
    """Tokens by class. No token is in two classes; ``None`` is a count that the provider did not report.

    ``input`` and ``output`` are what belongs to no other class of their side. ``cache_write`` was written to a cache
    for the provider's usual time (5 minutes at Anthropic), ``cache_write_1h`` for an hour.
    """

    input: int | None = None
    cache_read: int | None = None
    output: int | None = None
    reasoning: int | None = None
    cache_write: int | None = None
    cache_write_1h: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    image_input: int | None = None
    image_output: int | None = None

    def counts(self) -> TokenCounts:
        """Sums of the classes that are shown as one."""
        uncached, visible = self.input, self.output
        if uncached is not None:
            uncached += (
                (self.cache_write or 0) + (self.cache_write_1h or 0) + (self.audio_input or 0) + (self.image_input or 0)
            )
        if visible is not None:
            visible += (self.audio_output or 0) + (self.image_output or 0)
        return TokenCounts(uncached, self.cache_read, visible, self.reasoning)

    @property
    def total_input(self) -> int | None:
        """All that the model was given to read, ``None`` where that is not known."""
        counts = self.counts()
        return None if counts.input is None else counts.input + (counts.cached or 0)

    @property
    def total_output(self) -> int | None:
        """All that the model generated, ``None`` where that is not known."""
        counts = self.counts()
        return None if counts.output is None else counts.output + (counts.reasoning or 0)
