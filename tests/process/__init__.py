"""The running process: signals, exit codes, files, logs; both servers where both have it."""
