"""Wire scripts: conversations as data, held against the genuine server and ours."""
