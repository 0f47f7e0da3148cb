"""Errors of the relay, in the words of services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy.errors import GatewayError, Overloaded, UpstreamFault

if TYPE_CHECKING:
    from proxy.services.live_service import LiveService


class AnswerRefused(UpstreamFault):
    """The service answered with a status after which another address is tried."""

    def __init__(self, status: int) -> None:
        super().__init__(f"The service answered with status {status}.", code=f"upstream_{status}")


def no_address(service: LiveService) -> Overloaded:
    if not service.group.addresses:
        return Overloaded(f"The service {service.name!r} has no address.", code="no_address")
    return Overloaded(f"No address of the service {service.name!r} is available at the moment.", code="no_address")


def no_service(name: str) -> Overloaded:
    return Overloaded(f"The service {name!r} of this route is not defined.", code="no_service")


def in_words_of_services(fault: GatewayError) -> str:
    """The message of a fault. Connections are the same for providers and for services, and speak of providers."""
    return fault.message.replace("The provider", "The service").replace("the provider", "the service")
