from __future__ import annotations

import re
from typing import Any

import pytest
from msgspec import UNSET

from proxy.config.provider_schema import CloudSettings
from proxy.providers.issuers import SHORTEST, issuer_of, issuers_of, main_issuer
from tests.providers.compiled import key_of, provider

KEY = "sk-0123456789abcdefghij"
HOST = "https://host.example/v1"
VERTEX = "https://aiplatform.googleapis.com/v1/projects/p/locations/global"


def issuer(base_url: str = HOST, **settings: Any) -> str:
    compiled = provider(base_url, **({"api_key": KEY} | settings))
    return issuer_of(compiled.sites[0], key_of(compiled))


def test_an_issuer_is_the_same_in_each_process() -> None:
    assert issuer() == issuer() == "ac74e4d871cb"
    assert re.fullmatch("[0-9a-f]{12}", issuer())


@pytest.mark.parametrize("other", [{"base_url": "https://other.example/v1"}, {"base_url": "https://host.example/v2"},
                                   {"base_url": "http://host.example/v1"}, {"base_url": "https://host.example:444/v1"},
                                   {"api_key": KEY + "x"}])  # fmt: skip
def test_another_address_or_key_is_another_issuer(other: dict[str, str]) -> None:
    assert issuer(**other) != issuer()


def test_what_does_not_matter_to_a_provider_does_not_matter_here() -> None:
    assert issuer("https://HOST.example/v1/?key=secret") == issuer()


def test_a_key_that_can_be_guessed_is_left_out() -> None:
    short = "k" * (SHORTEST - 1)
    assert issuer(api_key=short) == issuer(api_key="") == issuer(api_key="another")
    assert issuer(api_key=short + "k") != issuer(api_key="")
    assert issuer(api_key="", headers={"Authorization": "Bearer x"}) == issuer(api_key="")


def test_a_provider_is_an_issuer_for_each_of_its_keys() -> None:
    compiled = provider(HOST, api_key=UNSET, api_keys=[KEY, KEY + "x"])
    assert issuers_of(compiled.sites[0]) == {issuer(), issuer(api_key=KEY + "x")}
    assert len(issuers_of(provider(HOST, api_key=UNSET).sites[0])) == 1


def test_blobs_of_translated_answers_have_one_issuer_whichever_key_is_used() -> None:
    assert main_issuer(provider(HOST, api_key=UNSET, api_keys=[KEY, KEY + "x"]).sites[0]) == issuer()


def test_without_a_key_configured_headers_count() -> None:
    one, two = ({"Authorization": f"Bearer {KEY}{number}"} for number in range(2))
    assert issuer(api_key="", headers=one) != issuer(api_key="", headers=two)


def test_credentials_of_clouds_count_by_their_names() -> None:
    def of(**cloud: str) -> str:
        return issuer(VERTEX, api_key=UNSET, cloud=CloudSettings(**cloud))

    assert of(credentials_file="/etc/one.json") == of(credentials_file="/etc/one.json")
    assert of(credentials_file="/etc/one.json") != of(credentials_file="/etc/two.json")
