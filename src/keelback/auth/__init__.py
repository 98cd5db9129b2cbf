"""Who may connect and what they may do.

Knows users, nkeys, certificates and permission rules; knows no configuration text, no option, no
socket. What it decides it hands down compiled (`gate.compile_gate`) or answers request by request
(`authenticator.Authenticator`).
"""
