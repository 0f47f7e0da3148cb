from __future__ import annotations

from proxy.dialects.translation.absent import AbsentContent, WantedContent, fill, wanted_of
from proxy.dialects.translation.conversation import (
    Audio,
    ContentSource,
    Conversation,
    ConversationMessage,
    Document,
    Image,
    Text,
    ToolResult,
)

ADDRESS = "https://a.example/b"
LINK = ContentSource(url=ADDRESS)
PNG = ContentSource(data="iVBORw0K", media_type="image/png")
WAV = ContentSource(data="UklGRg==", media_type="audio/wav")


def test_only_content_by_its_address_is_wanted() -> None:
    assert wanted_of(Image(LINK)) == WantedContent("image", ADDRESS)
    assert wanted_of(Document(LINK)) == WantedContent("file", ADDRESS)
    assert wanted_of(Audio(LINK)) == WantedContent("audio", ADDRESS)
    assert wanted_of(Image(PNG)) is None
    assert wanted_of(Document(ContentSource(file_id="file-1"))) is None


def test_content_is_put_in_place_of_each_of_its_addresses() -> None:
    parts = [Image(LINK), Document(LINK), Audio(LINK, "mp3"), Text(ADDRESS), Image(PNG)]
    result = ToolResult("call_1", [Text(ADDRESS), Image(LINK)])
    conversation = Conversation(
        "openai.chat", [ConversationMessage("user", list(parts)), ConversationMessage("tool", [result])]
    )
    fill(
        conversation,
        {
            WantedContent("image", ADDRESS): PNG,
            WantedContent("audio", ADDRESS): WAV,
            WantedContent("file", ADDRESS): "It was not found.",
        },
    )
    assert conversation.messages[0].content == [
        Image(PNG),
        Document(LINK),
        Audio(WAV, "wav"),
        Text(ADDRESS),
        Image(PNG),
    ]
    assert result.content == [Text(ADDRESS), Image(PNG)]


def test_a_refusal_has_both_reasons() -> None:
    refusal = AbsentContent(WantedContent("image", ADDRESS), "messages[]", "No addresses.").refusal("It is too large.")
    assert refusal.param == "messages[]"
    assert refusal.message.endswith("No addresses. It is too large.")
    assert ADDRESS not in refusal.message
