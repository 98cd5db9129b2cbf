"""Keelback: a complete NATS messaging system as one Python package."""
