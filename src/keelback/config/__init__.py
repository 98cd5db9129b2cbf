"""The configuration language: text becomes a tree of values, each with its place.

Knows no option. `parse_file` and `parse_text` give a map of `Value`s; `digest` names its content.
"""

from __future__ import annotations

from keelback.config.digest import digest
from keelback.config.parser import parse_file, parse_text
from keelback.config.tree import Timestamp, Value, go_type

__all__ = ["Timestamp", "Value", "digest", "go_type", "parse_file", "parse_text"]
