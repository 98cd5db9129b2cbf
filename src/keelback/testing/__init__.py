"""For the tests of programs that use NATS: servers as pytest fixtures.

Uses the server by its public names only.
"""
