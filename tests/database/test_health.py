"""Health of a database: its state and its log lines."""

from __future__ import annotations

from proxy.database.health import DatabaseHealth, DatabaseState


class Wall:
    """Unix seconds in the test's own hands, and what was told."""

    def __init__(self) -> None:
        self.now = 100.0
        self.told: list[str] = []

    def health(self) -> DatabaseHealth:
        def tell(kind: str) -> object:
            return lambda text: self.told.append(f"{kind}: {text}")

        return DatabaseHealth("the database", tell("warning"), tell("info"), lambda: self.now)  # type: ignore[arg-type]


async def test_one_line_when_it_stops_answering_and_one_when_it_answers_again() -> None:
    wall = Wall()
    health = wall.health()
    health.answered(0.1)
    health.failed("connection refused")
    health.failed("connection refused")
    wall.now += 7
    health.answered(0.1)
    health.answered(0.1)
    assert wall.told == [
        "warning: the database does not answer: connection refused; keys that are known here go on working",
        "info: the database answers again after 7 s",
    ]


async def test_the_state_has_the_time_of_its_change_and_the_latency() -> None:
    wall = Wall()
    health = wall.health()
    assert health.state == DatabaseState(up=True, since=100.0, latency=None)
    wall.now += 5
    health.answered(0.25)
    assert health.state == DatabaseState(up=True, since=100.0, latency=0.25)
    health.failed("gone")
    wall.now += 5
    health.failed("gone")
    assert health.state == DatabaseState(up=False, since=105.0, latency=0.25)
    health.answered(0.5)
    assert health.state == DatabaseState(up=True, since=110.0, latency=0.5)


async def test_a_wall_clock_that_was_set_back_gives_no_negative_duration() -> None:
    wall = Wall()
    health = wall.health()
    health.failed("gone")
    wall.now -= 50
    health.answered(0.1)
    assert wall.told[-1] == "info: the database answers again after 0 s"
