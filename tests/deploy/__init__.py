"""Tests of what an operator deploys, in named stages: ``scripts/test-deploy`` runs them."""
