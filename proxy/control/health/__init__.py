"""Health: checks for machines, components and providers for the operator, probes, and recent state changes."""
