"""Generated conversations, held with the genuine server and ours at once: the answers must agree."""
