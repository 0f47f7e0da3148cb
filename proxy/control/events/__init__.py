"""Events that wait for their receivers, and dead ones: to look at, to send again, to delete."""
