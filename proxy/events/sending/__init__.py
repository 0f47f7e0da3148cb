"""From the outbox to the receivers, in the process that writes the ledger.

base.py       what a receiver is asked, and what it tells
broker.py     events as messages of the broker
webhook.py    events as POSTs
hold.py       a receiver is sent to by one process at a time
status.py     the state of a receiver, in the recorder's status file
health.py     whether a receiver takes events, and one log line a change
delivery.py   the loop of one receiver: hold, take, send, settle
deliveries.py all of them, and what waits
opening.py    makes them as they are configured
"""
