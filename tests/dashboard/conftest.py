"""The dashboard over a real Azurite, with a Batch that is not there: what it needs of it, a test says."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pipeline.app import App
from pipeline.clients import open_app
from pipeline.dashboard.dashboard import Dashboard
from tests.darkroom.conftest import azurite_url as azurite_url  # noqa: PLC0414 (a fixture, taken by name)
from tests.darkroom.conftest import place as place  # noqa: PLC0414 (as above)
from tests.darkroom.places import Place


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def app(place: Place) -> AsyncIterator[App]:
    keys = {"BATCH_ACCOUNT": "none", "BATCH_KEY": "a2V5"}
    async with open_app(place.environ | keys) as opened:
        yield opened


@pytest.fixture
def board(app: App, clock: Clock) -> Dashboard:
    return Dashboard(app=app, clock=clock)
