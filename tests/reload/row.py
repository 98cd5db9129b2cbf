"""One row of the table: an option, a change, an outcome."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One change.

    Args:
        name: of the row.
        before: the configuration at start; what both servers need is added.
        after: the configuration that is reloaded.
        early: lines before those about users and accounts, which are always there.
        late: lines after them.
        refused: why the whole reload is refused, in place of those.
        flags: of the command line.
        ours: where Keelback's reason to refuse is another one.
    """

    name: str
    before: str
    after: str
    early: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    refused: str = ""
    flags: tuple[str, ...] = ()
    ours: str | None = None

    def lines(self, *, ours: bool) -> list[str]:
        """What the log says."""
        refused = self.refused if self.ours is None or not ours else self.ours
        if refused:
            return [f"[ERR] Failed to reload server configuration: {refused}"]
        always = ("Reloaded: authorization users", "Reloaded: accounts")
        end = "Reloaded server configuration (sha256:…)"
        told = (*self.early, *always, *self.late, end)
        return [line if line.startswith("[") else f"[INF] {line}" for line in told]


def not_supported(field: str, old: str, new: str) -> str:
    """nats-server's text."""
    return f"config reload not supported for {field}: old={old}, new={new}"
