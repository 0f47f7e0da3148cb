"""What answers cost: prices of deployments, and the one function that applies them to usage.

Money is integer nano-USD. ``None`` is a cost or a price that is not known, which is not the same as 0.
"""
