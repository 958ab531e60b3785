"""The worker's package on a node that is a clean directory and environment, at work against the real Azurite."""

from __future__ import annotations

import io
import os
import platform
import subprocess
import sys
import uuid
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient
from PIL import Image

from darkroom.deploy.package import UBUNTU_24_04, NodePython, Package, build
from shared.manifest import Entry, Manifest, to_bytes
from shared.naming import Naming, normal_etag
from tests.darkroom.places import KEY
from tests.infra.conftest import ROOT

HERE = NodePython(
    version=f"{sys.version_info.major}.{sys.version_info.minor}",
    machine=platform.machine(),
    platforms=tuple(f"{kind}_{platform.machine()}" for kind in ("manylinux_2_28", "manylinux_2_17", "manylinux2014")),
)
MAX_BYTES = 60_000_000
"""Every task fetches the package: it must stay small."""

pytestmark = [pytest.mark.azurite, pytest.mark.timeout(300)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A machine with nothing but Python: an empty home, an empty work directory, an environment of its own."""

    python: Path
    work: Path
    environment: dict[str, str]

    def task(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a task's command in its work directory."""
        command = [str(self.python), *arguments]
        return subprocess.run(
            command, cwd=self.work, env=self.environment, capture_output=True, text=True, timeout=120, check=False
        )


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The real package, for the Python that runs the tests."""
    return build(ROOT, tmp_path_factory.mktemp("package"), HERE)


@pytest.fixture
def node(package: Package, tmp_path: Path, azurite_url: str) -> Node:
    """A fresh node on which Batch has put the package into the task's work directory."""
    venv.create(tmp_path / "python", with_pip=False, symlinks=True)
    for folder in ("work", "shared", "home"):
        (tmp_path / folder).mkdir()
    (tmp_path / "work" / package.blob).write_bytes(package.path.read_bytes())
    connection = (
        f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={KEY};BlobEndpoint={azurite_url};"
    )
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp_path / "home"),
        "AZ_BATCH_NODE_SHARED_DIR": str(tmp_path / "shared"),
        "AZ_BATCH_TASK_WORKING_DIR": str(tmp_path / "work"),
        "AZ_BATCH_TASK_ID": "m-1",
        "STORAGE_CONNECTION_STRING": connection,
    }
    return Node(python=tmp_path / "python" / "bin" / "python", work=tmp_path / "work", environment=environment)


@pytest.fixture
def storage(node: Node) -> Iterator[BlobServiceClient]:
    """Containers for one test, which the node's environment names."""
    mark = uuid.uuid4().hex[:8]
    with BlobServiceClient.from_connection_string(node.environment["STORAGE_CONNECTION_STRING"]) as service:
        for name in ("images", "converted", "manifests", "outcomes"):
            node.environment[f"{name.upper()}_CONTAINER"] = f"{name}-{mark}"
            service.create_container(f"{name}-{mark}")
        yield service


def picture(shade: int) -> bytes:
    """A small JPEG with something on it."""
    image = Image.new("RGB", (64, 48), (shade, 128, 255 - shade))
    image.paste((255, 255, 0), (8, 8, 40, 24))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=90)
    return data.getvalue()


def drop(storage: BlobServiceClient, node: Node, pictures: dict[str, bytes]) -> None:
    """Put images and the manifest of them where the node's task looks."""
    entries = []
    for name, data in pictures.items():
        client = storage.get_blob_client(node.environment["IMAGES_CONTAINER"], name)
        etag = normal_etag(str(client.upload_blob(data)["etag"]))
        entries.append(Entry(name=name, etag=etag, size=len(data)))
    manifest = Manifest(id="m-1", created="2026-01-01T00:00:00Z", naming=Naming.REPLACE, entries=tuple(entries))
    sealed = storage.get_blob_client(node.environment["MANIFESTS_CONTAINER"], "sealed/m-1.json")
    sealed.upload_blob(to_bytes(manifest))
    node.environment["DARKROOM_MANIFEST"] = "sealed/m-1.json"


def test_a_node_prepares_and_converts(package: Package, node: Node, storage: BlobServiceClient) -> None:
    """The start task proves the package; a task turns JPGs into PNGs with the same pixels and writes its outcomes."""
    pictures = {f"a/{number}.jpg": picture(number * 50) for number in range(4)}
    drop(storage, node, pictures)
    prepared = node.task(package.blob, "--prepare")
    assert (prepared.returncode, prepared.stderr) == (0, "")
    assert prepared.stdout == "worker/native: loaded\n"
    done = node.task(package.blob)
    assert done.returncode == 0, done.stdout + done.stderr
    for name, data in pictures.items():
        png = storage.get_blob_client(node.environment["CONVERTED_CONTAINER"], name.replace(".jpg", ".png"))
        with Image.open(io.BytesIO(png.download_blob().readall()), formats=("PNG",)) as converted:
            converted.load()
            with Image.open(io.BytesIO(data)) as source:
                assert converted.convert("RGB").tobytes() == source.convert("RGB").tobytes()
    outcomes = storage.get_container_client(node.environment["OUTCOMES_CONTAINER"])
    lines = [
        line
        for blob in outcomes.list_blob_names(name_starts_with="m-1/")
        for line in outcomes.download_blob(blob).readall().splitlines()
    ]
    assert len(lines) == len(pictures)


def test_the_node_has_nothing_but_the_package(node: Node) -> None:
    """Outside of the package there is no library of ours to import: the test before proves the package alone."""
    done = node.task("-c", "import PIL")
    assert done.returncode != 0
    assert "No module named 'PIL'" in done.stderr


def test_the_package_for_azures_nodes_can_be_built(tmp_path: Path) -> None:
    """Every pinned library has a wheel for Ubuntu 24.04's Python, and all together stay small."""
    package = build(ROOT, tmp_path, UBUNTU_24_04)
    assert package.path.stat().st_size < MAX_BYTES
    with zipfile.ZipFile(package.path) as archive:
        extensions = [name for name in archive.namelist() if name.endswith(".so") and "cpython" in name]
    assert extensions
    assert [name for name in extensions if "cpython-312-x86_64" not in name] == []
