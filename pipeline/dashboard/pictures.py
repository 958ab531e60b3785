"""PNGs for the page, small ones only. Nothing is scaled here: a browser does that, and a function app has no need of
an image library."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.dashboard.document import LARGEST_PICTURE
from pipeline.dashboard.fresh import Fresh
from pipeline.dashboard.reply import Reply, error_reply
from pipeline.storage import BlobMissingError, Container

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(kw_only=True)
class Pictures:
    """Answers with one PNG of the converted container. Many pages that show the same picture cost one read."""

    converted: Container
    known: Fresh[Reply]

    async def reply(self, name: str) -> Reply:
        """The PNG; 404 where there is none, 413 where it is too large, 415 where it is none."""
        return await self.known.get(name, lambda: self._make(name))

    async def _make(self, name: str) -> Reply:
        # A URL with dots for a segment may be taken for another container's.
        plain = name and not {".", ".."} & set(name.replace("\\", "/").split("/"))
        found = await self.converted.find(name) if plain else None
        if found is None:
            return error_reply(404, "There is no such PNG.")
        if found.size > LARGEST_PICTURE:
            return error_reply(413, "It is too large to show here.")
        try:
            data = (await self.converted.read(name)).data
        except BlobMissingError:
            return error_reply(404, "There is no such PNG.")
        if not data.startswith(_SIGNATURE):
            return error_reply(415, "It is no PNG.")
        return Reply(status=200, body=data, content_type="image/png")
