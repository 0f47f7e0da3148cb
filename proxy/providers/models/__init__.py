"""What is known of models and of the servers that they run on, as data with sources.

``routing/model_facts.py`` puts both together for a deployment.
"""
