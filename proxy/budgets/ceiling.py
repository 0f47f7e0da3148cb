"""What one call at one deployment can use and cost at most, before it is made.

The text of a call is at most a token a byte, which every tokenizer keeps: its tokens are bytes or longer. The body
itself is the bound of its text, as JSON never takes fewer bytes than the text that it holds, and what is around a
message takes more than the 16 tokens that a model's template may add: ``{"role":"user","content":""}`` has 28.

Content that is no text counts as ``rateLimiting.tokenEstimate`` has it, so a long document or video may use more. Nor
can a request show what a provider adds to it: what a tool that runs there, such as a search, reads and writes, and what
it keeps of earlier calls, unless the model's ``contextSize`` bounds that. An account may also
have another service tier than the standard one by default, and a provider may report a cost that is not the
catalog's.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct, structs

from proxy.config.schema import TokenEstimate
from proxy.dialects.call import Call
from proxy.dialects.json_estimate import limit_of
from proxy.dialects.media import without_escapes
from proxy.dialects.reported_cost import service_tier
from proxy.pricing.dearest import AUDIO_IN, AUDIO_OUT, IMAGE_IN, LONG_CACHE, DearestPrices, DearestRates
from proxy.pricing.sheet import PriceSheet
from proxy.routing.deployment import Deployment
from proxy.routing.endpoints import Endpoint
from proxy.routing.estimate import output_facts

# Anthropic adds up to 530 tokens to a call with tools, others less:
# https://docs.claude.com/en/docs/agents-and-tools/tool-use/overview#pricing
_TOOL_PROMPT: Final = 1_000
# Tokens of an image that OpenAI makes, the largest in high quality, and of three partial ones before it:
# https://platform.openai.com/docs/guides/image-generation
_MADE_IMAGE: Final = 6_600
_MOST_IMAGES: Final = 10  # of one request: https://platform.openai.com/docs/api-reference/images/createEdit
# A minute of speech is 1,250 tokens for some 900 bytes: https://platform.openai.com/docs/pricing
_SPEECH_PER_BYTE: Final = 2
_AUDIO_MS: Final = 100  # of a token of sound: https://platform.openai.com/docs/guides/realtime-costs

_MILLION: Final = 1_000_000
_HOUR_MS: Final = 3_600_000
_LONGEST_TIER: Final = 66  # bytes of its JSON
# Members of the dialects that ask for other prices than the standard ones.
_TIERS: Final = frozenset(("service_tier", "serviceTier", "speed", "inference_geo"))


class TokenCeiling(Struct, frozen=True, gc=False):
    """Most tokens of the input and of the output.

    ``text``: bytes of the body, if there is nothing but text in it, else 0: what ``learned.py`` learns from.
    ``images``: number of images to be made. ``audio_ms``: duration of the sound to be read, where it is priced by that.
    ``reach`` and ``tiers``: as in ``proxy.pricing.dearest``.
    """

    input: int
    output: int
    text: int = 0
    images: int = 0
    audio_ms: int = 0
    reach: int = 0
    tiers: tuple[str, ...] = ()


# Singletons, compared with ``is``: a call that is not billed, and one of which nothing is known.
NOT_BILLED: Final = TokenCeiling(0, 0)
UNREAD: Final = TokenCeiling(0, 0)

_STANDARD: Final[tuple[str, ...]] = ()


def token_ceiling(
    endpoint: Endpoint, call: Call | None, deployment: Deployment, estimate: TokenEstimate, ratio: float = 1.0
) -> TokenCeiling:
    """The ceiling of one attempt. ``call`` is ``None`` for a body that is not read; else its body must still be there.

    ``ratio``: tokens for a byte of text, as learned; 1.0: at most.
    """
    if call is None:
        return _unread(endpoint, deployment, estimate)
    dialect, values, size = endpoint.dialect, call.members.values, len(call.body)
    if dialect.task == "count":
        return NOT_BILLED
    body = without_escapes(call.body)
    requests, text, media, reach, only_text = dialect.requests, size, 0, 0, True
    chat = "messages" in values
    if requests.media.may_be_in(body, chat):
        found = requests.media.count(body)
        if found.images or found.audio:
            only_text = False
            text, media = (
                size - len(body) + found.text,
                found.images * estimate.per_image + found.audio * estimate.per_audio,
            )
            reach = (IMAGE_IN if found.images else 0) | (AUDIO_IN if found.audio else 0)
    input_ = (text if ratio >= 1.0 else int(text * ratio) + 1) + media + call.added
    if "tools" in values:
        input_ += _TOOL_PROMPT
    if not chat and not requests.kept_context.isdisjoint(values) and _is_kept(call, requests.kept_context):
        only_text, input_ = False, max(input_, deployment.context_size)
    prices, tiers = deployment.prices, _STANDARD
    if prices is not None and prices.dearest.varied:
        more, tiers = _varied(call, body, prices.dearest)
        reach |= more
    learnable = text if only_text and not call.added else 0
    if dialect.generates:
        facts, default = output_facts(deployment, endpoint.path, estimate.output)
        output = requests.output_tokens(call, facts.output_tokens, default)
        if "best_of" in values:
            output = _best_of(call, output)
        if not facts.limits_reasoning:
            output += call.choices * (facts.output_tokens or estimate.output)
        return TokenCeiling(input_, output, learnable, 0, 0, reach, tiers)
    if endpoint.media:
        return _made(endpoint, call, deployment, estimate, TokenCeiling(input_, 0, 0, 0, 0, reach, tiers))
    return TokenCeiling(input_, 0, learnable, 0, 0, reach, tiers)  # embeddings, moderations


def most_cost(sheet: PriceSheet | None, ceiling: TokenCeiling, at: float) -> int | None:
    """Nano-USD that an attempt which begins at ``at`` (Unix seconds) can cost at most, rounded up.

    ``None``: there is no price. No usage within the ceiling is rated higher by ``proxy.pricing.rating.rate``, unless
    the provider reports a cost or searches the web.
    """
    if ceiling is NOT_BILLED:
        return 0
    if sheet is None or ceiling is UNREAD:
        return None
    dearest = sheet.dearest
    rates = dearest.plain
    if rates is None or ceiling.reach:
        rates = dearest.rates(at, ceiling.input, ceiling.reach, ceiling.tiers)
        if rates is None:
            return None
    if ceiling.images or ceiling.audio_ms:
        return _by_piece(rates, ceiling)
    found = rates.request * _MILLION
    if ceiling.input:
        if rates.input is None:
            return None
        found += ceiling.input * rates.input
    if ceiling.output:
        if rates.output is None:
            return None
        found += ceiling.output * rates.output
    return -(-found // _MILLION)


def _by_piece(rates: DearestRates, ceiling: TokenCeiling) -> int | None:
    """The cost of what may be priced by the image or by the hour; then tokens without a price are free."""
    pieces, known = 0, False
    if ceiling.images and rates.image is not None:
        pieces, known = ceiling.images * rates.image, True
    if ceiling.audio_ms and rates.audio_hour is not None:
        pieces, known = -(-ceiling.audio_ms * rates.audio_hour // _HOUR_MS), True
    if not known and (rates.input is None or rates.output is None):
        return None
    tokens = ceiling.input * (rates.input or 0) + ceiling.output * (rates.output or 0)
    return rates.request + pieces - (-tokens // _MILLION)


def _unread(endpoint: Endpoint, deployment: Deployment, estimate: TokenEstimate) -> TokenCeiling:
    """The ceiling of a form, which does not show how many images are to be made, or of a body that is relayed as is."""
    most = _configured(deployment)
    if endpoint.path.startswith("audio/"):
        sound = estimate.per_audio
        return TokenCeiling(sound, most or estimate.output, 0, 0, sound * _AUDIO_MS, AUDIO_IN)
    if endpoint.path.startswith("images/"):
        output = _MOST_IMAGES * (most or max(estimate.per_image, _MADE_IMAGE))
        return TokenCeiling(estimate.per_image, output, 0, _MOST_IMAGES, 0, IMAGE_IN)
    return UNREAD


def _made(
    endpoint: Endpoint, call: Call, deployment: Deployment, estimate: TokenEstimate, ceiling: TokenCeiling
) -> TokenCeiling:
    """The ceiling with what a call for images or speech makes. ``maxOutputTokens`` is for one image."""
    most = _configured(deployment)
    if endpoint.path.startswith("images/"):
        output = call.choices * (most or max(estimate.per_image, _MADE_IMAGE))
        return structs.replace(ceiling, output=output, images=call.choices)
    output = most or max(estimate.per_audio, _SPEECH_PER_BYTE * len(call.body))
    return structs.replace(ceiling, output=output, reach=ceiling.reach | AUDIO_OUT)


def _configured(deployment: Deployment) -> int:
    """``maxOutputTokens`` of the model; 0: not set."""
    return 0 if deployment.model is None else deployment.model.max_output_tokens


def _best_of(call: Call, output: int) -> int:
    """Output of a legacy completion that makes more answers than it returns, and bills them all."""
    returned, made = limit_of(call.members, "n"), limit_of(call.members, "best_of")
    return output * max(made, 1) // max(returned, 1) if made > max(returned, 1) else output


def _is_kept(call: Call, names: frozenset[str]) -> bool:
    """Whether the call names input that the provider keeps; ``null`` does not."""
    return any(call.members.first_byte(name) not in (None, b"n") for name in names)


def _varied(call: Call, body: bytes, prices: DearestPrices) -> tuple[int, tuple[str, ...]]:
    """What else the call reaches, and the service tiers that it names, where that has a price of its own."""
    reach = 0
    if prices.long_cache and body.find(b'"ttl"') >= 0:
        reach |= LONG_CACHE
    if prices.speech and (body.find(b'"audio"') >= 0 or body.find(b'"AUDIO"') >= 0):
        reach |= AUDIO_OUT
    if prices.tiers and not _TIERS.isdisjoint(call.members.values):
        return reach, _named_tiers(call, prices.tiers)
    return reach, _STANDARD


def _named_tiers(call: Call, known: frozenset[str]) -> tuple[str, ...]:
    """The known service tiers that the call names."""
    raws = [call.members.beginning(name, _LONGEST_TIER) for name in _TIERS]
    return tuple(sorted({service_tier(raw.strip(b'"').decode("latin-1")) for raw in raws} & known))
