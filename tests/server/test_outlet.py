"""What wraps an outlet: everything passes on, unless a subclass overrides it."""

from __future__ import annotations

from unittest.mock import Mock, call

import pytest

from proxy.errors import GatewayError
from proxy.server.outlet import Outlet, OutletWrapper

FAULT = GatewayError("It broke.")


def wrapped() -> tuple[Mock, OutletWrapper]:
    inner = Mock(spec=["begun", "ended", "numbered", *Outlet.__abstractmethods__])
    return inner, OutletWrapper(inner)


def test_a_wrapper_passes_every_call_on() -> None:
    inner, wrapper = wrapped()
    wrapper.begin(200, b"A: 1\r\n", b"x", length=3)
    wrapper.write(b"y")
    wrapper.count(1)
    wrapper.lose(FAULT)
    wrapper.end(b"z")
    wrapper.break_off(FAULT, b"!")
    wrapper.abort()
    wrapper.detach()
    wrapper.send(204, b"B: 2\r\n")
    assert inner.mock_calls == [
        call.begin(200, b"A: 1\r\n", b"x", length=3),
        call.write(b"y"),
        call.count(1),
        call.lose(FAULT),
        call.end(b"z"),
        call.break_off(FAULT, b"!"),
        call.abort(),
        call.detach(),
        call.send(204, b"B: 2\r\n", b""),
    ]


@pytest.mark.parametrize("value", [True, False])
def test_a_wrapper_has_the_state_of_what_it_wraps(value: bool) -> None:
    inner, wrapper = wrapped()
    inner.begun = inner.ended = inner.numbered = value
    assert (wrapper.begun, wrapper.ended, wrapper.numbered) == (value, value, value)


def test_a_wrapper_tells_what_it_wraps_of_numbered_events() -> None:
    inner, wrapper = wrapped()
    wrapper.numbered = True
    assert inner.numbered is True


def test_chunks_do_not_bypass_a_wrapper() -> None:
    inner, wrapper = wrapped()
    assert wrapper.for_frames() is None
    assert not inner.mock_calls
