from __future__ import annotations

import pytest

from proxy.routing.aliases import Aliases

PROVIDERS = {"p": {"baseUrl": "http://127.0.0.1:1/v1"}, "any": {"baseUrl": "http://127.0.0.1:2/v1"}}
MODELS = [{"name": name, "provider": "p"} for name in ("a", "b", "claude-real")]


def aliases(**targets: list[str]) -> Aliases:
    return Aliases(
        {name.replace("_", "-").replace("ANY", "*"): names for name, names in targets.items()}, "real".__eq__
    )


def test_an_alias_stands_for_its_models() -> None:
    known = aliases(gpt=["a", "b"])
    assert (known.find("gpt"), known.find("a"), known.find("gpt-5")) == (("a", "b"), (), ())


def test_an_exact_alias_wins_over_a_pattern_and_the_first_pattern_over_later_ones() -> None:
    known = aliases(claude_ANY=["first"], ANY_sonnet=["second"], claude_opus=["exact"])
    assert known.find("claude-opus") == ("exact",)
    assert known.find("claude-sonnet") == ("first",)
    assert known.find("my-sonnet") == ("second",)
    assert known.find("claude") == ()


def test_a_configured_model_wins_over_a_pattern() -> None:
    assert aliases(ANY=["other"]).find("real") == ()
    assert aliases(real=["other"]).find("real") == ("other",)


def test_a_pattern_matches_the_whole_name_literally() -> None:
    known = Aliases({"a.b*c": ["x"]}, lambda name: False)
    assert [known.find(name) for name in ("a.bc", "a.b-\n-c", "aXbc", "a.bcd")] == [("x",), ("x",), (), ()]


@pytest.mark.parametrize(
    ("names", "auto", "expanded"),
    [
        (("gpt",), False, (("a", "b"), False)),
        (("b", "gpt", "c"), False, (("b", "a", "c"), False)),
        (("any",), False, (("a",), True)),
        (("c",), True, (("c",), True)),
        (("nested",), False, (("gpt",), False)),  # no alias again
    ],
)
def test_a_request_may_name_aliases_among_models(
    names: tuple[str, ...], auto: bool, expanded: tuple[tuple[str, ...], bool]
) -> None:
    assert aliases(gpt=["a", "b"], any=["a", "auto"], nested=["gpt"]).expand(names, auto) == expanded


def test_no_aliases_are_false() -> None:
    assert not aliases()
    assert aliases(ANY=["a"])
