"""nginx as its documentation says for event streams: no buffering, keep-alive to the upstream, one worker."""

from __future__ import annotations

import os
import shutil
import subprocess

from tests.bench.peers.base import Missing, Peer

CONFIG = """
daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder}/pid;
error_log {folder}/log warn;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 100m;
    keepalive_requests 1000000000;
    upstream provider {{
        server 127.0.0.1:{upstream};
        keepalive 4096;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass {scheme}://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host 127.0.0.1;
            proxy_buffering off;
            proxy_read_timeout 300s;
            {tls}
        }}
    }}
}}
"""
# It compares a certificate with host names only, never with addresses.
TLS = "proxy_ssl_verify on; proxy_ssl_trusted_certificate {ca}; proxy_ssl_name localhost;"


class Nginx(Peer):
    name = "nginx"

    def binary(self) -> str:
        found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if found is None:
            raise Missing("no nginx on this machine (Debian: apt-get install nginx-light)")
        return found

    def version(self) -> str:
        return subprocess.run([self.binary(), "-v"], capture_output=True, text=True).stderr.strip().split("/")[-1]

    def command(self) -> list[str]:
        config = self.folder / "nginx.conf"
        text = CONFIG.format(
            user="user root;" if os.geteuid() == 0 else "",
            folder=self.folder,
            upstream=self.provider.port(self.tls),
            port=self.port,
            scheme="https" if self.tls else "http",
            tls=TLS.format(ca=self.provider.ca) if self.tls else "",
        )
        config.write_text(text)
        return [self.binary(), "-p", str(self.folder), "-c", str(config)]
