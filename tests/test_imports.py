"""Imports point one way. The folders are rooms, and this is the plan of their doors."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("shared", "pipeline", "worker", "localcloud", "darkroom", "function_app")
STDLIB = set(sys.stdlib_module_names)

ALLOWED: dict[str, set[str]] = {
    "shared": {"shared"},
    "worker": {
        "worker",
        "shared",
        "PIL",
        "isal",
        "deflate",
        "azure.storage.blob",
        "azure.identity",
        "azure.core",
        "aiohttp",
    },
    "pipeline": {"pipeline", "shared", "azure", "aiohttp"},
    "function_app": {"pipeline", "shared", "azure.functions"},
    "localcloud": {"localcloud", "aiohttp", "azure.functions", "psutil"},
    "darkroom": {
        "darkroom",
        "pipeline",
        "shared",
        "localcloud.batch",
        "worker.native.build",  # the node's package brings the compiled library
        "azure",
        "aiohttp",
        "typer",
        "rich",
        "PIL",
        "click",
    },
}


def modules(room: str) -> Iterator[Path]:
    path = ROOT / room
    yield from sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def imported(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            yield node.lineno, node.module or ""


def permitted(name: str, allowed: set[str]) -> bool:
    if name.split(".", maxsplit=1)[0] in STDLIB:
        return True
    return any(name == prefix or name.startswith(prefix + ".") for prefix in allowed)


@pytest.mark.parametrize("room", [room for room in ROOMS if (ROOT / room).exists() or (ROOT / f"{room}.py").exists()])
def test_a_room_imports_only_what_the_plan_allows(room: str) -> None:
    """Each folder imports the standard library and what its row of the plan names, nothing else."""
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in modules(room)
        for line, name in imported(path)
        if not permitted(name, ALLOWED[room])
    ]
    assert wrong == []


def test_the_worker_touches_storage_in_one_module_only() -> None:
    """Of the worker's modules, only `worker/storage.py` imports the storage SDK, its transport, or identity."""
    outside = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in modules("worker")
        for line, name in imported(path)
        if name.startswith(("azure", "aiohttp")) and path.name != "storage.py"
    ]
    assert outside == []
