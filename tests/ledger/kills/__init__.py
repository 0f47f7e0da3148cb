"""Kill -9 of gateway, recorder and database under load: every request that a provider got has its row exactly once.

    python -m tests.ledger.kills --rounds 50 [--database sqlite|postgresql] [--seed 1]

Everything is real: two gateways that share a spool, the recorder, the database, callers and providers on loopback.
Only processes that were started here are killed.

``__main__`` the command line · ``run`` the rounds · ``site`` what is killed, and started again · ``stores`` the databases
"""
