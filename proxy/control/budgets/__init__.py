"""Budgets as the operator and each client see them: what is spent, reserved and left."""
