"""Bytes that are no request: what aiohttp's parser refused, and what it should have refused."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs
from aiohttp.http import HttpVersion10, HttpVersion11, RawRequestMessage
from aiohttp.http_exceptions import BadHttpMethod, LineTooLong

from proxy.errors import ClientFault
from proxy.server.aiohttp_internals import ErrInfo

VERSIONS: Final = (HttpVersion11, HttpVersion10)  # llhttp takes others (0.9, 2.0), which are no HTTP/1.1
TRANSFER_ENCODING: Final = hdrs.TRANSFER_ENCODING


def fault_of(message: ErrInfo | RawRequestMessage) -> ClientFault:
    """The error for the client. It repeats no byte of the request."""
    if not isinstance(message, ErrInfo):
        if message.version not in VERSIONS:
            return ClientFault("The request line names another version than HTTP/1.1.", status=505, code="http_version")
        return ClientFault("The request has an unsupported transfer coding.", status=501, code="transfer_coding")
    cause = message.exc
    if isinstance(cause, LineTooLong):
        return ClientFault("The request line or a header field is too long.", status=431, code="headers_too_large")
    if isinstance(cause, BadHttpMethod) and "HTTPS" in cause.message:
        return ClientFault("This port speaks plain HTTP, not TLS.", code="tls_on_plain_port")
    return ClientFault("The request is not valid HTTP/1.1.", code="malformed_request")


def is_plainly_chunked(message: RawRequestMessage) -> bool:
    """Whether every server would read the body with the same length.

    RFC 9112 6.1: aiohttp removes the chunks of ``gzip, chunked`` and leaves the rest, takes an empty coding for none,
    and an HTTP/1.0 request must not be chunked at all.
    """
    codings = [each.strip().lower() for each in message.headers.getall(TRANSFER_ENCODING)]
    return message.chunked and message.version == HttpVersion11 and codings == ["chunked"]
