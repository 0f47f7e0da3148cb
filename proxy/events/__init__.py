"""Events for other programs: what happened, how it is encoded and signed, and the webhooks that get it."""
