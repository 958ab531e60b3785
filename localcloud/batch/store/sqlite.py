"""An account in an SQLite file: a row an entity, written in one transaction with what is acknowledged.

A commit has reached the operating system when it returns: it survives the death of this process (kill -9), not a loss
of power.
"""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localcloud.batch.core import Account
from localcloud.batch.core.entities import Job, Node, Pool, Schedule, Task
from localcloud.batch.core.world import Entity
from localcloud.batch.store import records

SCHEMA = 1
_KEEP_SAMPLES = 24 * 3600.0

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entities (
    kind TEXT NOT NULL, owner TEXT NOT NULL, key TEXT NOT NULL, spec TEXT NOT NULL, status TEXT NOT NULL,
    PRIMARY KEY (kind, owner, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS samples (
    pool TEXT NOT NULL, at REAL NOT NULL, row TEXT NOT NULL, PRIMARY KEY (pool, at)
) WITHOUT ROWID;
"""


_PRAGMAS = """
PRAGMA locking_mode=EXCLUSIVE;
PRAGMA journal_mode=WAL;
PRAGMA synchronous=OFF;
PRAGMA temp_store=MEMORY;
"""


class StoreError(Exception):
    """The file cannot be used: another service has it, or a version that is not known wrote it."""


def place_of(entity: Entity) -> tuple[str, str, str]:
    """Kind, owner and key of an entity's row."""
    match entity:
        case Task():
            return "task", entity.job.id.lower(), entity.id.lower()
        case Node():
            return "node", entity.pool.id.lower(), entity.id.lower()
        case Job():
            return "job", "", entity.id.lower()
        case Pool():
            return "pool", "", entity.id.lower()
        case Schedule():
            return "schedule", "", entity.id.lower()


def _status(entity: Entity) -> records.Record:
    match entity:
        case Task():
            return records.task_record(entity)
        case Node():
            return records.node_record(entity)
        case Job():
            return records.job_record(entity)
        case Pool():
            return records.pool_record(entity)
        case Schedule():
            return records.schedule_record(entity)


_DUMP = json.JSONEncoder(separators=(",", ":")).encode


class SqliteStore:
    """Holds one account. Not for use from several processes at a time."""

    def __init__(self, path: Path) -> None:
        """Raises StoreError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=1.0)
        try:
            self._db.executescript(_PRAGMAS + _TABLES)
        except sqlite3.OperationalError as error:
            self._db.close()
            raise StoreError(f"{path}: {error}. Does another Batch service use this directory?") from error
        found = self.meta("schema")
        if found is None:
            self._db.execute("INSERT INTO meta VALUES ('schema', ?)", (str(SCHEMA),))
        elif found != str(SCHEMA):
            self._db.close()
            raise StoreError(f"{path}: schema {found}, this version knows {SCHEMA}; remove the directory to start anew")
        self._specs: dict[int, object] = {}
        self._samples: list[tuple[str, float, str]] = []

    def meta(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def rows(self, kind: str) -> Iterator[tuple[str, dict[str, Any], records.Record]]:
        """(owner, spec's document, status) of all entities of a kind."""
        for owner, spec, status in self._db.execute("SELECT owner, spec, status FROM entities WHERE kind = ?", (kind,)):
            yield owner, json.loads(spec), json.loads(status)

    def samples(self, pool_id: str) -> Iterator[tuple[float, dict[str, float]]]:
        """The pool's samples, oldest first."""
        query = "SELECT at, row FROM samples WHERE pool = ? ORDER BY at"
        for at, row in self._db.execute(query, (pool_id.lower(),)):
            yield at, json.loads(row)

    def sampled(self, pool: Pool, at: float, row: dict[str, float]) -> None:
        """A sample was taken; it is written with the next commit."""
        self._samples.append((pool.id.lower(), at, _DUMP(row)))

    def remember(self, entity: Entity) -> None:
        """The entity came from here: its definition need not be written again."""
        self._specs[id(entity)] = getattr(entity, "spec", None)

    def commit(self, account: Account) -> None:
        world = account.world
        if not (world.changed or world.removed or self._samples):
            return
        self._db.execute("BEGIN")
        self._remove(world.removed)
        self._write(world.changed.values())
        self._write_samples()
        revisions, runs = world.serials()
        clock = _DUMP([world.now, revisions, runs])
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('clock', ?)", (clock,))
        self._db.execute("COMMIT")
        world.changed.clear()
        world.removed.clear()

    def _remove(self, removed: list[Entity]) -> None:
        for entity in removed:
            self._specs.pop(id(entity), None)
            kind, owner, key = place_of(entity)
            self._db.execute("DELETE FROM entities WHERE kind = ? AND owner = ? AND key = ?", (kind, owner, key))
            if isinstance(entity, Job):
                self._db.execute("DELETE FROM entities WHERE kind = 'task' AND owner = ?", (key,))
            elif isinstance(entity, Pool):
                self._db.execute("DELETE FROM entities WHERE kind = 'node' AND owner = ?", (key,))
                self._db.execute("DELETE FROM samples WHERE pool = ?", (key,))

    def _write(self, changed: Any) -> None:
        new: list[tuple[str, str, str, str, str]] = []
        old: list[tuple[str, str, str, str]] = []
        for entity in changed:
            kind, owner, key = place_of(entity)
            spec = getattr(entity, "spec", None)
            status = _DUMP(_status(entity))
            if self._specs.get(id(entity), _NEVER) is spec:
                old.append((status, kind, owner, key))
            else:
                self._specs[id(entity)] = spec
                new.append((kind, owner, key, _DUMP(dict(spec.document)) if spec is not None else "{}", status))
        self._db.executemany("INSERT OR REPLACE INTO entities VALUES (?, ?, ?, ?, ?)", new)
        self._db.executemany("UPDATE entities SET status = ? WHERE kind = ? AND owner = ? AND key = ?", old)

    def _write_samples(self) -> None:
        if self._samples:
            self._db.executemany("INSERT OR REPLACE INTO samples VALUES (?, ?, ?)", self._samples)
            for pool in {pool for pool, _, _ in self._samples}:
                newest = max(at for name, at, _ in self._samples if name == pool)
                self._db.execute("DELETE FROM samples WHERE pool = ? AND at < ?", (pool, newest - _KEEP_SAMPLES))
            self._samples.clear()

    def close(self) -> None:
        self._db.close()


_NEVER = object()
