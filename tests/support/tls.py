"""Certificates for one test run: a private authority, and contexts signed by it."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class Authority:
    """``client_context`` trusts what ``server_context`` shows; ``ca_file`` writes the authority for a configuration."""

    def __init__(self) -> None:
        self._ca = trustme.CA()

    def server_context(self, *names: str, client_certificate: bool = False) -> ssl.SSLContext:
        """A server for ``names`` (default: localhost and the loopback addresses)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*(names or ("localhost", "127.0.0.1", "::1"))).configure_cert(context)
        if client_certificate:
            self._ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self._ca.configure_trust(context)
        return context

    def ca_file(self, folder: Path) -> Path:
        path = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(path))
        return path

    def client_files(self, folder: Path) -> tuple[Path, Path]:
        """A client certificate: the paths of its chain and of its key."""
        issued = self._ca.issue_cert("client.test")
        chain, key = folder / "client.pem", folder / "client.key"
        for index, blob in enumerate(issued.cert_chain_pems):
            blob.write_to_path(str(chain), append=index > 0)
        issued.private_key_pem.write_to_path(str(key))
        return chain, key

    def server_files(self, folder: Path, *names: str) -> tuple[Path, Path]:
        """A new server certificate for ``names`` (default: as above): the paths of its chain and of its key."""
        issued = self._ca.issue_cert(*(names or ("localhost", "127.0.0.1", "::1")))
        chain, key = folder / "server.pem", folder / "server.key"
        chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        return chain, key
