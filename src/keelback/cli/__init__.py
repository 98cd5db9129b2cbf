"""The command `keelback`."""
