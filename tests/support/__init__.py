"""What several rooms of tests share: server processes, the framing of the wire, nkeys."""
