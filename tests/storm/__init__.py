"""A load test with two failing providers, a healthy fallback, and a hundred concurrent clients.

    python -m tests.storm [--requests 2000] [--seed 1]

The records of every request must agree: the client's, the gateway's log, metrics and ledger, and the providers' with
their bills, to the nano-dollar. Scheduling decides which fault meets which request.
The records must agree in any case.

``__main__`` the command line · ``run`` start, send, wait, compare · ``words`` texts with a checksum · ``traffic`` the
requests and the configuration · ``caller`` a client that validates responses · ``shapes`` responses as bytes ·
``faults`` every fault and its failure kind · ``provider`` the servers with these faults · ``bills`` what they bill ·
``accounts`` the comparison · ``money`` the comparison of the ledger with the bills
"""
