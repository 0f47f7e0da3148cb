from __future__ import annotations

import pytest

from proxy.dialects.translation.absent import ContentAbsent, wanted_of
from proxy.dialects.translation.conversation import ContentSource, Document, Image
from proxy.dialects.translation.loss import Losses
from proxy.errors import Untranslatable


def test_what_is_lost_is_noted_once_and_in_order() -> None:
    losses = Losses()
    losses.drop("top_k", "messages[].name")
    losses.drop("seed", "top_k")
    losses.drop()
    assert losses.names == ("top_k", "messages[].name", "seed")


def test_where_nothing_may_be_lost_the_request_is_refused() -> None:
    losses = Losses(strict=True)
    losses.drop()
    with pytest.raises(Untranslatable) as caught:
        losses.drop("top_k", "seed")
    assert (caught.value.status, caught.value.param) == (400, "top_k")
    assert "translate.onLoss" in caught.value.message
    assert losses.names == ()


def test_what_encoders_name_as_chat_does_has_the_clients_name() -> None:
    names = {"top_k": "generationConfig.topK"}
    losses = Losses(client_names=names)
    losses.drop("top_k", "seed")
    assert losses.names == ("generationConfig.topK", "seed")
    with pytest.raises(Untranslatable, match=r"generationConfig\.topK"):
        Losses(strict=True, client_names=names).drop("top_k")


def test_all_content_that_is_lacking_is_named_at_the_end() -> None:
    losses = Losses()
    losses.require_content()
    image, pdf = Image(ContentSource(url="https://a.example/b")), Document(ContentSource(url="https://a.example/c"))
    losses.lack(image, "messages[].content[].image_url", "No addresses of images.")
    losses.lack(pdf, "messages[].content[].file", "No addresses of files.")
    with pytest.raises(ContentAbsent, match="No addresses of images") as caught:
        losses.require_content()
    assert caught.value.param == "messages[].content[].image_url"
    assert [each.wanted for each in caught.value.absent] == [wanted_of(image), wanted_of(pdf)]


def test_a_part_without_an_address_is_refused_at_once() -> None:
    with pytest.raises(Untranslatable, match="Send it whole"):
        Losses().lack(Image(ContentSource()), "messages[].content[].image_url", "Send it whole.")
