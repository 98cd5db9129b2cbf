//! PyO3 and nothing else: converts, forwards.
