"""Sets of addresses, and the choice among them: for services and for deployments. Pure: ``now`` is an argument."""
