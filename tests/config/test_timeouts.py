from __future__ import annotations

import pytest
from msgspec import structs

from proxy.config.provider_schema import ModelSettings, ProviderSettings, Timeouts
from proxy.config.schema import Config, Routing
from proxy.config.timeouts import Clocks, resolve


def model(**clocks: float) -> ModelSettings:
    return ModelSettings("m", "p", timeouts=Timeouts(**clocks))


def provider(**clocks: float) -> ProviderSettings:
    return ProviderSettings("http://p", timeouts=Timeouts(**clocks))


def test_the_defaults() -> None:
    assert resolve(Config(), provider(), None, True) == Clocks(10, 0, 120, 120, 0, 60)
    assert resolve(Config(), provider(), None, False) == Clocks(10, 0, 0, 120, 600, 60)


def test_the_most_specific_setting_wins_and_zero_is_a_value() -> None:
    config = Config(timeouts=Timeouts(connect=1, idle=2, total=3, client_stall=4))
    clocks = resolve(config, provider(idle=20, total=30), model(total=0), True)
    assert clocks == Clocks(1, 0, 120, 20, 0, 4)


def test_without_a_model_the_provider_setting_applies() -> None:
    assert resolve(Config(timeouts=Timeouts(connect=1)), provider(connect=2), None, True).connect == 2


def test_timeout_secs_sets_first_content_for_streams_and_total_otherwise() -> None:
    config = Config(routing=Routing(timeout_secs=30))
    stream, plain = (resolve(config, provider(), model(), streaming) for streaming in (True, False))
    assert (stream.first_content, stream.total) == (30, 0)
    assert (plain.first_content, plain.total) == (0, 30)


def test_every_timeout_setting_overrides_timeout_secs() -> None:
    config = Config(routing=Routing(timeout_secs=30), timeouts=Timeouts(first_content=40, total=50))
    assert resolve(config, provider(), None, True).first_content == 40
    assert resolve(config, provider(total=60), None, False).total == 60


@pytest.mark.parametrize("own", [{"first_content": 300}, {"idle": 0}])
@pytest.mark.parametrize("whose", ["model", "provider"])
def test_timeout_secs_is_not_a_total_if_model_or_provider_sets_timeouts(own: dict[str, float], whose: str) -> None:
    places = (provider(**own), model()) if whose == "provider" else (provider(), model(**own))
    config = Config(routing=Routing(timeout_secs=30))
    assert resolve(config, *places, False).total == 600
    assert resolve(Config(routing=Routing(timeout_secs=30), timeouts=Timeouts(total=90)), *places, False).total == 90


def test_a_total_of_the_model_or_the_provider_wins() -> None:
    config = Config(routing=Routing(timeout_secs=30), timeouts=Timeouts(total=90))
    assert resolve(config, provider(total=60, idle=5), model(total=70, first_content=300), False).total == 70
    assert resolve(config, provider(total=60, idle=5), model(first_content=300), False).total == 60


@pytest.mark.parametrize("seconds", [30, 1])
def test_timeout_secs_does_not_apply_to_media(seconds: float) -> None:
    config = Config(routing=Routing(timeout_secs=seconds))
    assert resolve(config, provider(), model(), False, media=True).total == 600
    assert resolve(config, provider(), model(), True, media=True).first_content == 120
    config = Config(routing=Routing(timeout_secs=seconds), timeouts=Timeouts(total=90))
    assert resolve(config, provider(), model(), False, media=True).total == 90
    assert resolve(config, provider(total=60), model(), False, media=True).total == 60


def test_without_timeout_secs_a_plain_response_has_ten_minutes() -> None:
    assert resolve(Config(), provider(), model(), False).total == 600


def test_stream_timeouts_apply_to_streams_only() -> None:
    all_set = dict.fromkeys(Clocks.__struct_fields__, 5.0)
    assert resolve(Config(), provider(), model(**all_set), True) == Clocks(**all_set)
    assert resolve(Config(), provider(), model(**all_set), False) == structs.replace(
        Clocks(**all_set), headers=0.0, first_content=0.0
    )
