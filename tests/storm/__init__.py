"""A storm: two providers that fail in every way there is, a healthy one behind them, and a hundred clients at once.

    python -m tests.storm [--requests 2000] [--seed 1]

Afterwards everybody's account of every request must be the same: the client's, the gateway's log and metrics, the
providers' own. Which faults meet which request is scheduling's affair; that the accounts agree is not.

``__main__`` the command line · ``run`` the order of play · ``words`` texts with a checksum · ``traffic`` what clients
ask · ``caller`` a client and its verdict · ``shapes`` answers as bytes · ``faults`` every way to fail, and the kind
that the gateway must call it · ``provider`` the servers that play them · ``accounts`` the agreement
"""
