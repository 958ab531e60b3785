"""`darkroom run` where there is nothing to start. A real run is in test_whole.py."""

from __future__ import annotations

import json

import pytest

from darkroom.failure import ExitCode
from shared import manifest
from shared.manifest import Entry, Manifest
from shared.naming import Naming
from tests.darkroom.places import Cli, Place

pytestmark = pytest.mark.azurite


def test_images_that_are_on_their_way_already_are_left_alone_and_said_so(cli: Cli, place: Place) -> None:
    """As after a `run --wait` that was interrupted: the same again starts nothing twice."""
    environ = place.environ | {"BATCH_ACCOUNT": "none", "BATCH_KEY": "a2V5"}
    etag = place.put("images", "a.jpg")
    entry = Entry(name="a.jpg", etag=etag, size=1)
    sealed = Manifest(id="m0", created="2026-11-21T10:01:00Z", naming=Naming.REPLACE, entries=(entry,))
    place.put("manifests", "sealed/m0.json", manifest.to_bytes(sealed), images="1")
    ran = cli("run", "--wait", environ=environ)
    assert ran.code == ExitCode.OK, ran.err
    assert "1 images are on their way already" in ran.out
    told = json.loads(cli("run", "--json", environ=environ).out)
    assert (told["manifests"], told["on_their_way"]) == ([], 1)
    assert place.names("manifests") == ["sealed/m0.json"]
