"""Texts that grow by events, and halves of surrogate pairs in them."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.openai.responses.client.events import GrowingText, ResponseEvents

TEXTS = st.lists(st.text(alphabet=st.sampled_from("a\ud83d\ude00\u00e9"), max_size=3), max_size=6)


def growing() -> GrowingText:
    return GrowingText(ResponseEvents(), "response.output_text.delta", {"item_id": "m"}, {"logprobs": []})


def deltas(events: bytes) -> str:
    lines = [line for line in events.split(b"\n") if line.startswith(b"data: ")]
    return "".join(json.loads(line[6:])["delta"] for line in lines)


@given(TEXTS)
def test_the_deltas_are_the_text_with_pairs_joined_and_halves_replaced(texts: list[str]) -> None:
    text = growing()
    events = b"".join(text.add(each) for each in texts if each)
    whole, last = text.end()
    assert deltas(events + last) == whole
    assert whole == "".join(texts).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def test_a_half_that_is_kept_back_counts_once_it_is_flushed() -> None:
    text = growing()
    assert text.add("\ud83d") == b""
    assert len(text) == 0
    assert deltas(text.flush()) == "\ufffd"
    assert len(text) == 1
    assert text.flush() == b""
