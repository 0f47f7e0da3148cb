"""The judge of translations finds what made-up translators lose."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from proxy.dialects.translation.base import EncodingTarget, RequestDecoder, RequestEncoder
from proxy.dialects.translation.conversation import Conversation, ConversationMessage, SamplingSettings, Text
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.model_facts import ModelFacts
from proxy.dialects.translation.tool_names import ToolNames
from proxy.errors import Untranslatable, WrongMember
from tests.support.schemas.judge import Outcome, Verdict, translate, verdicts
from tests.support.schemas.nodes import Either, Items, Leaf, Member, Shape
from tests.support.schemas.requests import RequestSchema

PART = Shape("Part", lambda: {"type": Member(Leaf("enumeration", ("text",)), True), "text": Member(Leaf("text"), True)})
IMAGE = Shape(
    "Image", lambda: {"type": Member(Leaf("enumeration", ("image",)), True), "url": Member(Leaf("text"), True)}
)
MESSAGE = Shape(
    "Message",
    lambda: {
        "content": Member(Items(Either((PART, IMAGE))), True),
        "name": Member(Leaf("text")),
    },
)
REQUEST = Shape(
    "Request",
    lambda: {
        "messages": Member(Items(MESSAGE), True),
        "temperature": Member(Leaf("number")),
        "store": Member(Leaf("flag")),
        "tier": Member(Leaf("enumeration", ("auto", "fast"))),
    },
)
SCHEMA = RequestSchema(
    "made up",
    REQUEST,
    base={"messages": [{"content": [{"type": "text", "text": "Hi"}]}]},
    history="messages",
    surround=lambda messages: messages,
)
MEMBERS = {"messages", "temperature", "store", "tier"}


class Decoder(RequestDecoder):
    """Loses nothing in silence. ``fault`` changes what it has read, or what it tells."""

    def __init__(self, fault: Callable[[dict[str, Any], Conversation], object] = lambda request, found: None) -> None:
        self._fault = fault

    def decode(self, body: bytes) -> Conversation:
        request = json.loads(body)
        found = Conversation("made up", [])
        for at, message in enumerate(request["messages"]):
            content: list[Any] = []
            for index, part in enumerate(message["content"]):
                if part["type"] != "text":
                    raise Untranslatable(f"messages[{at}].content[{index}].type", "It is no text.")
                content.append(Text(part["text"]))
                found.dropped += [f"messages[].content[].{name}" for name in part.keys() - {"type", "text"}]
            found.messages.append(ConversationMessage("user", content))
            found.dropped += [f"messages[].{name}" for name in message.keys() - {"content"}]
        found.sampling = SamplingSettings(temperature=request.get("temperature"))
        found.store = request.get("store")
        found.service_tier = request.get("tier", "")
        found.dropped += sorted(request.keys() - MEMBERS)
        self._fault(request, found)
        return found


class Encoder(RequestEncoder):
    def encode(
        self, conversation: Conversation, target: EncodingTarget, losses: Losses, names: ToolNames
    ) -> dict[str, Any]:
        if conversation.store is not None:
            losses.drop("store")
        texts = [part.text for message in conversation.messages for part in message.content if isinstance(part, Text)]
        return {"texts": texts, "temperature": conversation.sampling.temperature, "tier": conversation.service_tier}


def judge(decoder: RequestDecoder) -> dict[tuple[str, Any], Verdict]:
    target = EncodingTarget("m", ModelFacts())
    found: dict[tuple[str, Any], Verdict] = {}
    for variant in SCHEMA.variants:
        outcome = verdicts(
            variant,
            lambda value, each=variant: SCHEMA.request(each, value),
            lambda request: translate(decoder, Encoder(), request, target),
        )
        found.update({(str(variant), value): verdict for value, verdict in outcome.items()})
    return found


def wrong(decoder: RequestDecoder) -> dict[str, Verdict]:
    return {
        name: verdict for (name, _), verdict in judge(decoder).items() if verdict in ("lost", "obscured", "misread")
    }


def test_each_member_of_an_honest_translation_has_its_verdict() -> None:
    found = judge(Decoder())
    assert found == {
        ("messages[] (shape of Message)", True): "carried",
        ("messages[].content[] (shape of Part)", True): "carried",
        ("messages[].content[].text (member of Part)", "Markedvalue01234"): "carried",
        ("messages[].content[].member_of_the_future (unknown member of Part)", "Markedvalue01234"): "told",
        ("messages[].content[] (shape of Image)", True): "refused",
        ("messages[].content[].url (member of Image)", "https://files.example/Markedvalue01234"): "refused",
        ("messages[].content[].member_of_the_future (unknown member of Image)", "Markedvalue01234"): "refused",
        ("messages[].content[] (unknown type)", "Markedvalue01234"): "refused",
        ("messages[].name (member of Message)", "Markedvalue01234"): "told",
        ("messages[].member_of_the_future (unknown member of Message)", "Markedvalue01234"): "told",
        ("temperature (member of Request)", 0.25): "carried",
        ("temperature (member of Request)", 0.75): "carried",
        ("store (member of Request)", True): "told",
        ("store (member of Request)", False): "told",
        ("tier (member of Request)", "auto"): "carried",
        ("tier (member of Request)", "fast"): "carried",
        ("member_of_the_future (unknown member of Request)", "Markedvalue01234"): "told",
    }


def forget_temperature(request: dict[str, Any], found: Conversation) -> None:
    found.sampling.temperature = None


def forget_store(request: dict[str, Any], found: Conversation) -> None:
    found.store = None


def forget_tier(request: dict[str, Any], found: Conversation) -> None:
    found.service_tier = ""


def clamp_temperature(request: dict[str, Any], found: Conversation) -> None:
    if request.get("temperature") == 0.75:
        found.sampling.temperature = None


def forget_names(request: dict[str, Any], found: Conversation) -> None:
    found.dropped = [each for each in found.dropped if each != "messages[].name"]


def forget_texts(request: dict[str, Any], found: Conversation) -> None:
    found.messages.clear()


def overlook_unknown_members(request: dict[str, Any], found: Conversation) -> None:
    found.dropped = [each for each in found.dropped if not each.endswith("member_of_the_future")]


@pytest.mark.parametrize(
    ("fault", "lost"),
    [
        (forget_temperature, {"temperature (member of Request)"}),
        (clamp_temperature, {"temperature (member of Request)"}),
        (forget_store, {"store (member of Request)"}),
        (forget_tier, {"tier (member of Request)"}),
        (forget_names, {"messages[].name (member of Message)"}),
        (
            forget_texts,
            {
                "messages[] (shape of Message)",
                "messages[].content[] (shape of Part)",
                "messages[].content[].text (member of Part)",
            },
        ),
        (
            overlook_unknown_members,
            {
                "member_of_the_future (unknown member of Request)",
                "messages[].member_of_the_future (unknown member of Message)",
                "messages[].content[].member_of_the_future (unknown member of Part)",
            },
        ),
    ],
)
def test_what_a_decoder_forgets_is_lost(fault: Callable[..., None], lost: set[str]) -> None:
    assert wrong(Decoder(fault)) == dict.fromkeys(lost, "lost")


def test_a_refusal_that_names_another_member_proves_nothing() -> None:
    def refuse(request: dict[str, Any], found: Conversation) -> None:
        if "name" in request["messages"][0]:
            raise Untranslatable("messages[0].content", "This is not what is wrong.")

    assert wrong(Decoder(refuse)) == {"messages[].name (member of Message)": "obscured"}


def test_a_refusal_that_is_none_of_the_members_is_one_of_what_is_around_it() -> None:
    def refuse(request: dict[str, Any], found: Conversation) -> None:
        if request["messages"][0]["content"] != SCHEMA.base["messages"][0]["content"]:
            raise Untranslatable("messages[0].content", "It is not that of the base.")

    assert wrong(Decoder(refuse)) == {}


def test_a_valid_value_that_is_called_wrong_is_misread() -> None:
    def refuse(request: dict[str, Any], found: Conversation) -> None:
        if "tier" in request:
            raise WrongMember("tier", "absent")

    assert wrong(Decoder(refuse)) == {"tier (member of Request)": "misread"}


@pytest.mark.parametrize(
    ("told", "path", "covered"),
    [
        ("top_k", "top_k", True),
        ("top_k", "top_kk", False),
        ("messages[].content[].text", "messages[].content[]", False),
        ("messages[3].content[0].source", "messages[].content[].source.data", True),
        ("messages[3].content[0].type", "messages[].content[].source.data", True),
        ("tools[web_search]", "tools[].max_uses", True),
        ("tools[web_search]", "input[].tools[].max_uses", True),
        ("tools[web_search]", "input[].othertools[].max_uses", False),
        ("messages[].content[].source", "messages[].content[].content[].source.file_id", True),
        ("messages[].content[].cache_control", "system[].cache_control", True),
        ("messages[].content[].content", "messages[].content[].text", False),
        ("messages[1].content", "messages[].content[].text", True),
        ("tools[].strict", "messages[].content[].tool.definition.strict", True),
        ("tools[code_execution]", "tools[].max_uses", False),
    ],
)
def test_a_member_is_named_by_its_path_or_by_what_contains_it(told: str, path: str, covered: bool) -> None:
    assert Outcome({}, (told,)).names(path, {"tools": [{"type": "web_search_20260209"}]}) is covered


def test_a_shape_is_named_by_what_it_contains_too() -> None:
    outcome = Outcome({}, ("messages[].content[].thinking",))
    assert outcome.names("messages[].content[]", {}, with_inner=True)
    assert not outcome.names("messages[].content[]", {})
