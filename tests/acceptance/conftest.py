"""The real application on a local cloud, started as a user starts it."""

from tests.localcloud.up.conftest import start_up

__all__ = ["start_up"]
