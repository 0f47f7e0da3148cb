"""The relay of one request to an address of a service, and of its answer to the client."""
