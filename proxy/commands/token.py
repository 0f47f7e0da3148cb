"""``sluice token``: sign a JSON Web Token that the configured gateway accepts."""

from __future__ import annotations

import argparse
import sys


def main(arguments: argparse.Namespace) -> int:
    """Print a token. Returns the exit status: 1 if the configuration cannot sign, or would refuse the token."""
    import asyncio
    import os
    import time

    from proxy.auth.jwt import Verifier
    from proxy.auth.signing import claims_of, sign, signing_settings
    from proxy.config.environment import ENV_FILE
    from proxy.config.loader import authentication
    from proxy.errors import ConfigError, Unauthorized

    env_file = arguments.env_file or (ENV_FILE if ENV_FILE.exists() else None)
    try:
        auth = authentication(arguments.config, os.environ, env_file)
        settings = signing_settings(auth)
        minutes = arguments.minutes or settings.token_minutes
        verifier = Verifier(settings, time.time)
        token = sign(settings, claims_of(settings, arguments.sub, dict(arguments.claim or ()), minutes, time.time()))
        asyncio.run(verifier.verify(token))
    except ConfigError as error:
        print("\n".join(error.mistakes), file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"sluice token new: {error}", file=sys.stderr)
        return 1
    except Unauthorized as refused:
        print(f"sluice token new: the gateway would refuse it: {refused.detail}", file=sys.stderr)
        return 1
    print(token)
    if auth.mode not in ("jwt", "any"):
        print(f"notice: auth.mode is {auth.mode}, so the gateway accepts no token", file=sys.stderr)
    return 0
