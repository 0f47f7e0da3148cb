"""What a translation makes of a member of a request: carried, told, refused, or lost in silence."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

import msgspec

from proxy.dialects.translation.base import EncodingTarget, RequestDecoder, RequestEncoder
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.tool_names import ToolNames
from proxy.errors import ClientFault, Untranslatable, WrongMember
from tests.support.schemas.variants import ABSENT, Variant, marked

# Values that say what a request without the member says.
DEFAULTS: Final = frozenset(
    ("auto", "default", "standard", "text", "none", "never", "disabled", "direct", "client", "completed")
) | {"TEXT", "BLOCKING", "OBJECT", "5m", "30m", "explicit"}

# ``refused``: the error names the member, or what contains it, or is the same without the member. ``obscured``: the
# error names another member. ``misread``: the error calls a value wrong that the schema allows.
Verdict: TypeAlias = Literal["carried", "told", "refused", "obscured", "misread", "lost"]
Run: TypeAlias = Callable[[Any], "Outcome"]

# Encoders do not know where tools and content stood: tools in a namespace, or in a message, are named as those of the
# body, and content within content as that of a message.
_tools: Final = re.compile(r"^.*\.(tool\.definition|tools\[\])").sub
_legacy_choice: Final = re.compile("^function_call").sub
_output_schema: Final = re.compile(r"^generationConfig\.response(JsonSchema|MimeType)").sub
_update: Final = re.compile(r"^input\[\]\.(?=text\.|reasoning\.)").sub  # an item may change settings
_content: Final = re.compile(
    r"^(system\[\]|messages\[\]\.content\[\]|input\[\]\.(content|output)\[\])((\.source)?\.content\[\])*"
).sub
_SAME: Final[Mapping[str, str]] = MappingProxyType({})
_in_brackets: Final = re.compile(r"\[([^]]*)\]")


@dataclass(frozen=True)
class Outcome:
    """``body``: what the provider gets, ``None`` for a refusal. ``told``: paths of lost members, in the client's words.

    ``answer``: what the request says about the form of its answer. ``refused``: the member that the error names, ``""``
    for none.
    """

    body: dict[str, Any] | None
    told: Sequence[str] = ()
    answer: Sequence[Any] = ()
    refused: str | None = None
    error: ClientFault | None = None

    @property
    def carries_mark(self) -> bool:
        return self.body is not None and marked(self.body)

    @cached_property
    def text(self) -> str:
        """The body, or the error, for comparison."""
        return (
            json.dumps([self.body, *self.answer], sort_keys=True)
            if self.error is None
            else f"{self.refused}: {self.error}"
        )

    def names(self, path: str, request: Any, *, with_inner: bool = False) -> bool:
        """Whether the client learns of the loss of the member ``path``: it, or what contains it, is named.

        ``with_inner``: or what it contains.
        """
        named = (*self.told, *([self.refused] if self.refused else []))
        return any(_covers(told, path, request) for told in named) or (
            with_inner and any(_covers(path, told, request) for told in named)
        )


def translate(
    decoder: RequestDecoder,
    encoder: RequestEncoder,
    request: Any,
    target: EncodingTarget,
    client_names: Mapping[str, str] = _SAME,
) -> Outcome:
    """Raises nothing but what no translation may raise. ``client_names``: see ``Losses``."""
    try:
        conversation = decoder.decode(msgspec.json.encode(request))
        losses = Losses(client_names={**client_names, **conversation.own_names})
        body = encoder.encode(conversation, target, losses, ToolNames())
    except Untranslatable as fault:
        renamed = fault.renamed(client_names)
        return Outcome(None, refused=renamed.param or "", error=renamed)
    except ClientFault as fault:
        return Outcome(None, refused=fault.param or "", error=fault)
    answer = (conversation.thinking.shown, conversation.wants_usage)
    return Outcome(body, (*conversation.dropped, *losses.names), answer)


def verdicts(variant: Variant, request: Callable[[Any], Any], run: Run) -> dict[Any, Verdict]:
    """The verdict for each value of a variant. ``request`` makes the whole request with a value."""
    outcomes = [(value, run(request(value))) for value in variant.values]
    without = None if variant.required else run(request(ABSENT))
    found: dict[Any, Verdict] = {}
    for value, outcome in outcomes:
        if not _is_compared(variant):
            carried = outcome.carries_mark
        elif without is not None:
            carried = outcome.text != without.text
        else:
            carried = any(other.text != outcome.text for _, other in outcomes)
        found[_key(value)] = _verdict(variant, outcome, without, request(value), carried=carried)
    default = {key for key in found if key in DEFAULTS or isinstance(key, bool)}
    if default < found.keys() or any(found[key] != "lost" for key in default):
        found.update((key, "carried") for key in default if found[key] == "lost")
    return found


def _is_compared(variant: Variant) -> bool:
    """Whether its values have no mark, and are carried if they make a difference."""
    leaf = variant.leaf
    return variant.kind == "shape" or (leaf is not None and leaf.kind in ("flag", "enumeration", "whole", "number"))


def _verdict(variant: Variant, outcome: Outcome, without: Outcome | None, request: Any, *, carried: bool) -> Verdict:
    if isinstance(outcome.error, WrongMember) and variant.kind in ("member", "shape"):
        return "misread"
    named = outcome.names(variant.path, request, with_inner=variant.kind == "shape")
    if outcome.error is not None:
        is_cause = without is None or without.text != outcome.text
        return "obscured" if is_cause and not named else "refused"
    if named:
        return "told"
    return "carried" if carried else "lost"


def _key(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else json.dumps(value)


def _covers(told: str, path: str, request: Any) -> bool:
    """``told`` may have indices, name a hosted tool by its type, and end in the ``type`` of what is refused whole."""
    hosted = [each for each in _in_brackets.findall(told) if each and not each.isdigit()]
    if any(f'"{each}' not in json.dumps(request) for each in hosted):
        return False
    outer, inner = _in_brackets.sub("[]", told), _in_brackets.sub("[]", path)
    return _holds(outer, inner) or _holds(_anywhere(outer), _anywhere(inner))


def _holds(outer: str, path: str) -> bool:
    begins = (outer, outer.removesuffix(".type"), outer.removesuffix(".role"))
    return any(path == begin or path.startswith((f"{begin}.", f"{begin}[")) for begin in begins)


def _anywhere(path: str) -> str:
    path = _output_schema("generationConfig.responseSchema", path)
    return _update("", _content("content[]", _tools("tools[]", _legacy_choice("tool_choice", path))))
