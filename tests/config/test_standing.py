from __future__ import annotations

from proxy.config.schema import Config, Logging, Pool, Server
from proxy.config.standing import differences, standing


def test_what_waits_for_the_next_start_is_named_as_in_the_file() -> None:
    wanted = Config(
        server=Server(port=1, unix_socket="/s", max_body_mb=1, drain_secs=1),
        pool=Pool(idle_secs=1),
        hooks=["a:b"],
        logging=Logging("debug"),
        default_provider="p",
    )
    assert sorted(differences(Config(), wanted)) == [
        "hooks",
        "pool.idleSecs",
        "server.maxBodyMb",
        "server.port",
        "server.unixSocket",
    ]
    assert differences(wanted, wanted) == []


def test_all_else_is_taken_over() -> None:
    running = Config(server=Server(port=1), pool=Pool(idle_secs=1))
    wanted = Config(server=Server(port=2, drain_secs=3), logging=Logging("debug"), hooks=["a:b"], default_provider="p")
    taken = standing(running, wanted)
    assert (taken.server.port, taken.server.drain_secs, taken.pool.idle_secs, taken.hooks) == (1, 3, 1, [])
    assert (taken.logging.level, taken.default_provider) == ("debug", "p")
