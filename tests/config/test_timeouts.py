from __future__ import annotations

from msgspec import structs

from proxy.config.schema import Config, Model, Provider, Routing, Timeouts
from proxy.config.timeouts import Clocks, resolve


def model(**clocks: float) -> Model:
    return Model("m", "p", timeouts=Timeouts(**clocks))


def provider(**clocks: float) -> Provider:
    return Provider("http://p", timeouts=Timeouts(**clocks))


def test_the_defaults() -> None:
    assert resolve(Config(), provider(), None, True) == Clocks(10, 0, 120, 120, 0, 60)
    assert resolve(Config(), provider(), None, False) == Clocks(10, 0, 0, 120, 600, 60)


def test_the_nearest_place_wins_and_zero_is_a_value() -> None:
    config = Config(timeouts=Timeouts(connect=1, idle=2, total=3, client_stall=4))
    clocks = resolve(config, provider(idle=20, total=30), model(total=0), True)
    assert clocks == Clocks(1, 0, 120, 20, 0, 4)


def test_without_a_model_the_provider_decides() -> None:
    assert resolve(Config(timeouts=Timeouts(connect=1)), provider(connect=2), None, True).connect == 2


def test_timeout_secs_is_first_content_of_streams_and_total_of_others() -> None:
    config = Config(routing=Routing(timeout_secs=30))
    stream, plain = (resolve(config, provider(), model(), streaming) for streaming in (True, False))
    assert (stream.first_content, stream.total) == (30, 0)
    assert (plain.first_content, plain.total) == (0, 30)


def test_timeout_secs_yields_to_every_timeouts() -> None:
    config = Config(routing=Routing(timeout_secs=30), timeouts=Timeouts(first_content=40, total=50))
    assert resolve(config, provider(), None, True).first_content == 40
    assert resolve(config, provider(total=60), None, False).total == 60


def test_clocks_of_streams_do_not_run_elsewhere() -> None:
    all_set = dict.fromkeys(Clocks.__struct_fields__, 5.0)
    assert resolve(Config(), provider(), model(**all_set), True) == Clocks(**all_set)
    assert resolve(Config(), provider(), model(**all_set), False) == structs.replace(
        Clocks(**all_set), headers=0.0, first_content=0.0
    )
