"""Generated conversations, held with the genuine server and ours: the answers must agree."""
