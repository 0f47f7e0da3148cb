"""Events for other programs: what happened, how it is encoded, how it waits, and how it is sent.

outbox/    where events wait
sending/   from there to the receivers: one loop for each
broker/    RabbitMQ and NATS
"""
