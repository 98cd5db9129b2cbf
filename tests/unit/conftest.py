"""Units of the control plane are tested against a stand-in for the core."""

import sys

import pytest

from tests.unit import fake_core

try:
    import keelback._core
except ImportError:
    # Sources without a built core: the stand-in has to be there already for imports to work.
    import keelback

    sys.modules["keelback._core"] = fake_core  # type: ignore[assignment]
    keelback._core = fake_core  # type: ignore[attr-defined]


ROOMS = ("keelback.auth", "keelback.monitor", "keelback.server")


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> object:
    """The stand-in, in every module of the control plane that speaks to the core."""
    import keelback.auth.authenticator
    import keelback.auth.gate
    import keelback.auth.permissions
    import keelback.monitor.metrics
    import keelback.server.embed
    import keelback.server.info
    import keelback.server.lifecycle
    import keelback.server.log
    import keelback.server.pump  # noqa: F401

    for name, module in list(sys.modules.items()):
        if name.startswith(ROOMS) and hasattr(module, "_core"):
            monkeypatch.setattr(module, "_core", fake_core)
    return fake_core
