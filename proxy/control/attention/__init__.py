"""What needs the operator's attention: every known trouble of the gateway and its surroundings, the worst first."""
