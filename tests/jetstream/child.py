"""A server with JetStream as a process of its own, to be killed: `python child.py DIRECTORY`.

Prints its port, and serves until it is ended.
"""

from __future__ import annotations

import sys

from keelback.server import signals
from keelback.server.lifecycle import Lifecycle
from keelback.server.settings import JetStreamSettings, ServerSettings


def main() -> None:
    """Serve the store of the directory that is given."""
    store = JetStreamSettings(store_dir=sys.argv[1], max_memory=1 << 30, max_file=8 << 30)
    lifecycle = Lifecycle(ServerSettings(host="127.0.0.1", port=-1, jetstream=store))
    signals.install(lifecycle, lifecycle.post)
    lifecycle.start()
    sys.stdout.write(f"{lifecycle.port}\n")
    sys.stdout.flush()
    lifecycle.run()


if __name__ == "__main__":
    main()
