"""Joins the rooms into a running server: life cycle, signals, log, embedding, the core's events."""
