"""What a server says it is.

Clients and tools switch features on by the version in INFO, so it is the version of nats-server
whose behaviour is implemented; `keelback` beside it says whose server this really is.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

GIT_COMMIT: Final = "b2fd3ef"
"""Of the release whose behaviour is announced; tools print it beside the version."""

GO_VERSION: Final = "go1.27.2"
"""The field `go` must be there; clients only ever print it. What that release was built with."""

API_LEVEL: Final = 5
"""JetStream's API level of that release; announced with and without JetStream."""
