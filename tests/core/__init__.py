"""The boundary with the core that was built, not with a stand-in."""
