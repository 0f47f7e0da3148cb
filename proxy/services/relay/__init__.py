"""The relay of one request to an address of a service, and of its answer to the client.

relayed.py        the request: its attempts, until one has an answer for the client
call.py           one attempt at one address
call_watch.py     its clocks
address_use.py    its permit, its counters and its facts
bodiless.py       an answer without a body
request_head.py   the head for the service
request_body.py   the body for the service, kept as long as it can be sent again
forwarded.py      what the service learns of the client
header_tables.py  which header lines pass, both ways
route_rules.py    the rules of the route, compiled
sticky_key.py     the key that keeps requests at one address
retries.py        what may be sent again, and how often
context.py        what all requests share
faults.py         errors, in the words of services
"""
