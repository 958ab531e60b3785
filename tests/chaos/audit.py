"""Is every image accounted for? Storage, read past the proxy, against what the uploader knows that it wrote."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping

from azure.core.exceptions import AzureError
from azure.storage.blob import BlobProperties
from azure.storage.blob.aio import BlobServiceClient
from PIL import Image

from pipeline import summary as summaries
from pipeline.summary import ARCHIVE
from shared import quarantine
from shared.errors import DarkroomError
from shared.naming import MAX_BLOB_NAME, Naming, normal_etag, png_name, source_label
from shared.outcome import Result
from tests.chaos.corpus import Content
from tests.chaos.truth import Truth, Version

_OPEN = {"inbox/": "inbox", "plan/": "plan", "sealed/": "sealed manifest", "refused/": "refused inbox"}


Listing = Mapping[str, BlobProperties]


class Audit:
    """Compares again and again until nothing is wrong; a PNG that was compared is not fetched twice."""

    def __init__(self, storage: BlobServiceClient, *, truth: Truth, naming: Naming = Naming.REPLACE) -> None:
        self._storage = storage
        self._truth = truth
        self._naming = naming
        self._compared: set[tuple[str, str, str]] = set()
        self.found: Counter[str] = Counter()

    async def problems(self) -> list[str]:
        """What is not as it must be in the end; empty when all is."""
        self.found = Counter()
        try:
            listings = {name: await self._list(name) for name in ("images", "converted", "quarantine", "manifests")}
            return [
                *self._images(listings["images"]),
                *self._open_work(listings["manifests"]),
                *self._quarantine_names(listings["quarantine"], listings["converted"]),
                *self._png_names(listings["converted"]),
                *[problem async for problem in self._pixels(listings["converted"])],
                *[problem async for problem in self._quarantine_documents(listings["quarantine"])],
                *[problem async for problem in self._archive(listings["manifests"])],
            ]
        except AzureError as error:
            return [f"storage does not answer: {error!r}"]

    async def _list(self, container: str) -> dict[str, BlobProperties]:
        client = self._storage.get_container_client(container)
        return {blob.name: blob async for blob in client.list_blobs(include=["metadata"])}

    def _images(self, images: Listing) -> Iterator[str]:
        """The uploader's own book: storage must hold what it was told is written."""
        held = {name: normal_etag(blob.etag) for name, blob in images.items()}
        known = {name: version.etag for name, version in self._truth.latest.items()}
        self.found["images"] = len(known)
        for name in sorted(held.keys() | known.keys()):
            if held.get(name) != known.get(name):
                yield f"images/{name}: storage holds {held.get(name)}, {known.get(name)} was written: its own loss"

    def _open_work(self, manifests: Listing) -> Iterator[str]:
        for name in manifests:
            for prefix, what in _OPEN.items():
                if name.startswith(prefix):
                    yield f"open {what}: {name}"

    def _png_names(self, converted: Listing) -> Iterator[str]:
        rivals = self._rivals()
        for png in sorted(rivals.keys() - converted.keys()):
            yield f"no PNG for {rivals[png][0].name!r} {rivals[png][0].etag}"
        for png in sorted(converted.keys() - rivals.keys()):
            yield f"PNG without a valid source: {png!r}"
        for png in sorted(rivals.keys() & converted.keys()):
            metadata = converted[png].metadata or {}
            owner = _owner(rivals[png], converted[png])
            if owner is None:
                yield f"PNG {png!r} says that it is from {metadata.get('source')!r}"
            elif metadata.get("source_etag") != owner.etag:
                yield f"stale PNG {png!r}: made from {metadata.get('source_etag')}, current is {owner.etag}"

    async def _pixels(self, converted: Listing) -> AsyncIterator[str]:
        client = self._storage.get_container_client("converted")
        for png, versions in self._rivals().items():
            version = _owner(versions, converted[png]) if png in converted else None
            if version is None:
                continue
            key = (png, converted[png].etag, version.etag)
            if key not in self._compared:
                stream = await client.download_blob(png)
                if difference := _difference(version.picture.data, await stream.readall()):
                    yield f"PNG {png!r}: {difference}"
                    continue
                self._compared.add(key)
            self.found["pngs"] += 1

    def _quarantine_names(self, documents: Listing, converted: Listing) -> Iterator[str]:
        losers = self._losers(converted)
        wanted = self._truth.of(Content.BAD) | self._nameless() | losers
        self.found["quarantined"] = len(wanted.keys() & documents.keys())
        self.found["name conflicts"] = len(losers.keys() & documents.keys())
        for name in sorted(wanted.keys() - documents.keys()):
            yield f"{'loser' if name in losers else 'bad image'} not in quarantine: {name!r} {wanted[name].etag}"
        for name in sorted(documents.keys() - wanted.keys()):
            yield f"in quarantine, but not a bad image: {name!r} ({(documents[name].metadata or {}).get('reason')})"
        for name in sorted(wanted.keys() & documents.keys()):
            metadata = documents[name].metadata or {}
            if metadata.get("source_etag") != wanted[name].etag:
                yield f"quarantine of {name!r} is about {metadata.get('source_etag')}, current is {wanted[name].etag}"
            if (metadata.get("reason") == quarantine.NAME_CONFLICT) != (name in losers):
                yield f"quarantine of {name!r} gives a wrong reason: {metadata.get('reason')}"

    async def _quarantine_documents(self, documents: Listing) -> AsyncIterator[str]:
        client = self._storage.get_container_client("quarantine")
        for name in documents:
            try:
                stream = await client.download_blob(name)
                document = quarantine.from_bytes(await stream.readall(), where=name)
            except DarkroomError as error:
                yield f"quarantine document {name!r}: {error}"
                continue
            if document.name != name or not document.reason:
                yield f"quarantine document {name!r} is about {document.name!r}, reason {document.reason!r}"

    async def _archive(self, manifests: Listing) -> AsyncIterator[str]:
        """Every image of every closed manifest has exactly one fate."""
        client = self._storage.get_container_client("manifests")
        for name in manifests:
            if not name.startswith(ARCHIVE):
                continue
            stream = await client.download_blob(name)
            try:
                summary = summaries.from_bytes(await stream.readall(), where=name)
            except DarkroomError as error:
                yield str(error)
                continue
            self.found["archived"] += 1
            fates = dict(summary.counts)
            exhausted = fates.pop("quarantined") - fates[Result.REJECTED]
            if sum(fates.values()) + exhausted != summary.images:
                yield f"{name}: {summary.images} images, but {dict(summary.counts)}"
            for what, count in summary.counts.items():
                self.found[f"archived {what}"] += count

    def _rivals(self) -> dict[str, list[Version]]:
        """The good images by the name of their PNG: two that share one compete for it."""
        found: dict[str, list[Version]] = {}
        for name, version in self._truth.of(Content.GOOD).items():
            if name not in self._nameless():
                found.setdefault(png_name(name, self._naming), []).append(version)
        return found

    def _nameless(self) -> dict[str, Version]:
        """Images whose PNG's name would be longer than storage allows."""
        latest = self._truth.latest.items()
        return {name: version for name, version in latest if len(png_name(name, self._naming)) > MAX_BLOB_NAME}

    def _losers(self, converted: Listing) -> dict[str, Version]:
        """Of rivals, all but the one that has the PNG."""
        return {
            version.name: version
            for png, versions in self._rivals().items()
            for version in versions
            if png in converted and _owner(versions, converted[png]) not in (None, version)
        }


def _owner(versions: list[Version], png: BlobProperties) -> Version | None:
    label = (png.metadata or {}).get("source")
    return next((version for version in versions if source_label(version.name) == label), None)


def _difference(jpeg: bytes, png: bytes) -> str:
    """What is not equal in the pixels; empty when nothing is."""
    with Image.open(io.BytesIO(jpeg)) as source, Image.open(io.BytesIO(png)) as made:
        if made.format != "PNG":
            return f"is a {made.format}"
        if source.size != made.size:
            return f"is {made.size} instead of {source.size}"
        same = source.convert("RGB").tobytes() == made.convert("RGB").tobytes()
        return "" if same else "pixels differ"
