"""As on Azure: https, a managed identity, no key anywhere."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from azure.storage.blob import BlobServiceClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from shared.manifest import Entry, Manifest, to_bytes
from shared.naming import Naming, normal_etag
from tests.worker.account import KEY, NAME
from tests.worker.jpegs import jpeg

ROOT = Path(__file__).resolve().parents[2]
CONTAINERS = ("images", "converted", "manifests", "outcomes", "quarantine")
STORAGE = "https://storage.azure.com"
pytestmark = pytest.mark.azurite


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_path, key_path = folder / "cert.pem", folder / "key.pem"
    cert_path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return cert_path, key_path


@contextmanager
def azurite(cert: Path, key: Path) -> Iterator[str]:
    """An Azurite that speaks https and takes tokens; its endpoint."""
    node = shutil.which("node")
    assert node is not None
    main = ROOT / "node_modules/azurite/dist/src/blob/main.js"
    options = ["--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence", "--disableTelemetry"]
    tokens = ["--skipApiVersionCheck", "--silent", "--oauth", "basic", "--cert", str(cert), "--key", str(key)]
    process = subprocess.Popen([node, "--no-warnings", str(main), *options, *tokens], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"successfully listens on (https://127\.0\.0\.1:\d+)", line):
                yield f"{found.group(1)}/{NAME}"
                return
        pytest.fail(f"Azurite ended with {process.wait()}")
    finally:
        process.terminate()
        process.wait(timeout=20)
        if process.stdout is not None:
            process.stdout.close()


@asynccontextmanager
async def identity(asked: list[dict[str, str]], *, audience: str = STORAGE) -> AsyncIterator[str]:
    """The token endpoint of a managed identity; what it was asked goes to `asked`. Tokens are good for `audience`."""

    async def token(request: web.Request) -> web.Response:
        asked.append(dict(request.query) | {"header": request.headers.get("X-IDENTITY-HEADER", "")})
        expires = int(time.time()) + 3600
        body = {"access_token": unsigned(expires, audience), "expires_on": str(expires), "token_type": "Bearer"}
        return web.json_response(body | {"resource": request.query.get("resource", "")})

    app = web.Application()
    app.router.add_get("/token", token)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/token"
    finally:
        await runner.cleanup()


def unsigned(expires: int, audience: str) -> str:
    """A token with the right claims; Azurite checks no signature."""
    issuer = "https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/"
    claims = {"aud": audience, "iss": issuer, "nbf": expires - 7200, "iat": expires - 7200}
    parts = ({"alg": "RS256", "typ": "JWT"}, claims | {"exp": expires})
    coded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*coded, "c2lnbmF0dXJl"])


def prepare(endpoint: str, cert: Path) -> None:
    """A manifest of one image."""
    connection = f"DefaultEndpointsProtocol=https;AccountName={NAME};AccountKey={KEY};BlobEndpoint={endpoint};"
    with BlobServiceClient.from_connection_string(connection, connection_verify=str(cert)) as service:
        for container in CONTAINERS:
            service.create_container(container)
        answer = service.get_blob_client("images", "a.jpg").upload_blob(jpeg())
        entry = Entry(name="a.jpg", etag=normal_etag(answer["etag"]), size=1)
        manifest = Manifest(id="m", created="2026-01-01T00:00:00Z", naming=Naming.REPLACE, entries=(entry,))
        service.get_blob_client("manifests", "sealed/m.json").upload_blob(to_bytes(manifest))


async def test_a_task_works_by_managed_identity_alone(tmp_path: Path) -> None:
    """One token for the storage account, of the identity that the pool was given; the image becomes a PNG."""
    cert, key = certificate(tmp_path)
    asked: list[dict[str, str]] = []
    with azurite(cert, key) as endpoint:
        await asyncio.to_thread(prepare, endpoint, cert)
        async with identity(asked) as token_url:
            environ = {
                "PATH": "/usr/bin:/bin",
                "STORAGE_ACCOUNT_URL": endpoint,
                "DARKROOM_MANIFEST": "sealed/m.json",
                "WORKER_IDENTITY_CLIENT_ID": "the-pool's",
                "IDENTITY_ENDPOINT": token_url,
                "IDENTITY_HEADER": "secret",
                "SSL_CERT_FILE": str(cert),
            }
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "worker", cwd=ROOT, env=environ, stdout=-1, stderr=subprocess.STDOUT
            )
            out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, out.decode()
    assert b"converted=1" in out
    assert [(ask["client_id"], ask["resource"]) for ask in asked] == [("the-pool's", "https://storage.azure.com")]
