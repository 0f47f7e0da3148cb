from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.observe.mask import Mask


def test_every_secret_is_masked_at_any_position() -> None:
    mask = Mask(["sk-alpha-1", "sk-beta-22"])
    assert mask("key sk-alpha-1, again sk-alpha-1; sk-beta-22.") == "key ***, again ***; ***."


def test_a_secret_with_another_as_prefix_is_masked_completely() -> None:
    assert Mask(["sk-alpha", "sk-alpha-long"])("sk-alpha-long") == "***"


def test_regex_characters_are_escaped() -> None:
    mask = Mask(["a.b*c(d|e"])
    assert mask("a.b*c(d|e axbbc") == "*** axbbc"


def test_a_secret_within_a_url_is_masked() -> None:
    assert Mask(["p/w d+x&y"])(f"https://host/?key={quote('p/w d+x&y', safe='')}") == "https://host/?key=***"


@pytest.mark.parametrize("header", ["Bearer sk-alpha-1", "bearer  sk-alpha-1", "Basic sk-alpha-1"])
def test_a_header_value_is_masked_with_and_without_its_scheme(header: str) -> None:
    mask = Mask([header])
    assert mask(f"authorization: {header}") == "authorization: ***"
    assert mask("invalid key sk-alpha-1") == "invalid key ***"


@pytest.mark.parametrize("secrets", [[], [""], ["x"], ["none"]])
def test_short_keys_are_not_masked(secrets: list[str]) -> None:
    assert Mask(secrets)("none of the boxes") == "none of the boxes"


@given(secret=st.text(min_size=6, max_size=40), before=st.text(max_size=20), after=st.text(max_size=20))
def test_no_secret_survives_in_any_text(secret: str, before: str, after: str) -> None:
    kept = Mask([secret])(before + secret + after)
    assert secret not in kept or secret.strip("*") == "" or secret in "***"
