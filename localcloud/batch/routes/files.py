"""Files of nodes and tasks: listing, reading (with ranges, also while a task writes them), deleting."""

import mimetypes
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web

from localcloud.batch import layout
from localcloud.batch.core.errors import Refused
from localcloud.batch.core.states import NodeState
from localcloud.batch.routes.call import Call
from localcloud.batch.wire.instants import http_date, time_text
from localcloud.batch.wire.resources import Resource

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_MAX_READ = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A directory whose files are served, and the URL of it."""

    root: Path
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    name: str
    path: Path
    url: str


def _task_place(call: Call) -> Place:
    task = call.account.task(call.parts[1], call.parts[3])
    if task.node_id is None or task.node_pool_id is None:
        raise Refused("TaskFilesUnavailable")
    if task.files_gone:
        raise Refused("TaskFilesCleanedup")
    pool = call.account.pools.get(task.node_pool_id.lower())
    if pool is None or task.node_id.lower() not in pool.nodes:
        raise Refused("NodeNotFound")
    root = call.service.runner.node_root(task.node_pool_id, task.node_id)
    return Place(
        root=root / layout.task_directory(task.job.id, task.id),
        url=f"{call.base}/jobs/{task.job.id}/tasks/{task.id}/files",
    )


def _node_place(call: Call) -> Place:
    node = call.account.node(call.parts[1], call.parts[3])
    if node.state is NodeState.UNUSABLE:
        raise Refused("NodeStateUnusable")
    if node.state in (NodeState.CREATING, NodeState.PREEMPTED, NodeState.DEALLOCATED):
        raise Refused("NodeNotReady")
    return Place(
        root=call.service.runner.node_root(node.pool.id, node.id),
        url=f"{call.base}/pools/{node.pool.id}/nodes/{node.id}/files",
    )


def _place(call: Call) -> Place:
    return _task_place(call) if call.parts[0] == "jobs" else _node_place(call)


def _entry(call: Call) -> Entry:
    place, name = _place(call), call.parts[5]
    path = place.root / name
    if not layout.is_inside(name) or not path.exists():
        raise Refused("FileNotFound")
    return Entry(name=name, path=path, url=f"{place.url}/{quote(name, safe='')}")


def _entries(place: Place, *, recursive: bool) -> Iterator[Entry]:
    if not place.root.is_dir():
        return
    for path in sorted(place.root.rglob("*") if recursive else place.root.iterdir()):
        name = path.relative_to(place.root).as_posix()
        yield Entry(name=name, path=path, url=f"{place.url}/{quote(name, safe='')}")


def _properties(entry: Entry) -> dict[str, Any] | None:
    try:
        found = entry.path.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        return None
    return {
        "creationTime": time_text(found.st_ctime),
        "lastModified": time_text(found.st_mtime),
        "contentLength": str(found.st_size),
        "contentType": _kind(entry.path),
        "fileMode": f"0o{found.st_mode:o}",
    }


def _kind(path: Path) -> str:
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"


_FILES: Resource[Entry] = Resource(
    name="files",
    properties={
        "name": lambda e: e.name,
        "url": lambda e: e.url,
        "isDirectory": lambda e: e.path.is_dir(),
        "properties": _properties,
    },
    filterable={"name": lambda e: e.name},
)


async def list_all(call: Call) -> web.Response:
    recursive = call.query.get("recursive", "false").lower() == "true"
    return call.page(_FILES, _entries(_place(call), recursive=recursive), lambda entry: entry.name.split("/"))


async def properties(call: Call) -> web.Response:
    entry = _entry(call)
    size = entry.path.stat().st_size
    length = str(0 if entry.path.is_dir() else size)
    return web.Response(status=200, headers={**_headers(entry), "Content-Length": length})


async def read(call: Call) -> web.Response:
    """The file as it is now, or the part that ocp-range asks for: a file that a task still writes grows."""
    entry = _entry(call)
    if entry.path.is_dir():
        raise Refused("OperationInvalidForCurrentState", values=(("Reason", "The path is a directory"),))
    with entry.path.open("rb") as file:
        size = file.seek(0, 2)
        start, end = _wanted(call.headers.get("ocp-range"), size)
        if end - start > _MAX_READ:
            raise Refused("RequestBodyTooLarge", "Read this file in ranges of at most 64 MB.")
        file.seek(start)
        body = file.read(end - start)
    return web.Response(status=200, body=body, headers=_headers(entry))


def _wanted(header: str | None, size: int) -> tuple[int, int]:
    """The half-open range to send."""
    if header is None:
        return 0, size
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        raise Refused("InvalidHeaderValue", values=(("HeaderName", "ocp-range"), ("HeaderValue", header)))
    start = int(match.group(1))
    end = min(size, int(match.group(2)) + 1) if match.group(2) else size
    if start >= size and not (start == 0 and size == 0):
        raise Refused("InvalidRange")
    return start, max(start, end)


def _headers(entry: Entry) -> dict[str, str]:
    found = entry.path.stat()
    return {
        "ocp-creation-time": http_date(found.st_ctime),
        "ocp-batch-file-isdirectory": "true" if stat.S_ISDIR(found.st_mode) else "false",
        "ocp-batch-file-url": entry.url,
        "ocp-batch-file-mode": f"0o{found.st_mode:o}",
        "Last-Modified": http_date(found.st_mtime),
        "Content-Type": _kind(entry.path),
    }


async def delete(call: Call) -> web.Response:
    entry = _entry(call)
    if entry.path.is_dir():
        if call.query.get("recursive", "false").lower() != "true" and any(entry.path.iterdir()):
            raise Refused("OperationInvalidForCurrentState", values=(("Reason", "The directory is not empty"),))
        shutil.rmtree(entry.path)
    else:
        entry.path.unlink()
    return call.done(200)
