"""The ledger: one row for each attempt, by way of an append log that survives the process.

The gateway appends to a *spool* (``spool/``): an *open* record when a request is sent to a provider, a *close* record
when its exchange is settled. A child process, the *recorder* (``recorder/``), follows the spool and writes *rows* into
the database. Nothing here waits for SQL on the path of a request.
"""
