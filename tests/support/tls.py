"""Certificates for one test run: a private authority, and contexts signed by it."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Authority:
    """``client_context`` trusts what ``server_context`` shows; ``ca_file`` writes the authority for a configuration.

    ``parent``: this one is an intermediate authority of it.
    """

    def __init__(self, parent: Authority | None = None) -> None:
        self._ca = trustme.CA(parent and parent._ca)

    @staticmethod
    def expiring(days: float) -> bytes:
        """The certificate of another authority, valid for so many more days, as PEM."""
        now, key = datetime.datetime.now(datetime.UTC), ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"CA of {days} days")])
        builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(days=60))
        builder = builder.not_valid_after(now + datetime.timedelta(days=days))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)

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

    def issued(
        self,
        folder: Path,
        *,
        uris: Sequence[str] = (),
        names: Sequence[str] = (),
        common_names: Sequence[str] = (),
        days: float = 30,
        server: bool = False,
    ) -> tuple[Path, Path]:
        """A client certificate with these names, valid for so many more days: the paths of its chain and of its key.

        ``server``: it may be used by servers only.
        """
        now = datetime.datetime.now(datetime.UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.load_pem_x509_certificate(self._ca.cert_pem.bytes())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tests")]
        subject += [x509.NameAttribute(NameOID.COMMON_NAME, each) for each in common_names]
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(subject))
            .issuer_name(issuer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=60))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
        )
        alternatives: list[x509.GeneralName] = [x509.DNSName(each) for each in names]
        alternatives += [x509.UniformResourceIdentifier(each) for each in uris]
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        signer = load_pem_private_key(self._ca.private_key_pem.bytes(), None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        made = builder.sign(signer, SHA256())
        chain_file, key_file = folder / "issued.pem", folder / "issued.key"
        chain_file.write_bytes(made.public_bytes(Encoding.PEM))
        key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return chain_file, key_file

    def context_with(self, client: Authority, **certificate: object) -> ssl.SSLContext:
        """A client that trusts this authority, with a certificate ``issued`` by ``client``."""
        context = self.client_context()
        with TemporaryDirectory() as folder:
            context.load_cert_chain(*client.issued(Path(folder), **certificate))  # type: ignore[arg-type]
        return context
