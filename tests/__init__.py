"""The tests of Keelback."""
