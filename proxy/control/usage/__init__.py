"""What was used and what it cost: analytics for the operator, and for each client its own."""
