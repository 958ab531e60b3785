"""The durable queue between a publisher and the endpoints: what was accepted is delivered, whoever is killed.

One SQLite file. An event and how far its source was read are stored in one transaction, so each source line
becomes events exactly once; a delivery is removed only when its endpoint acknowledged it. Killing the
process loses nothing (write-ahead log); the loss of the machine's power may lose the last second.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from localcloud.azurite.writes import Position
from localcloud.errors import StartError
from localcloud.eventgrid.event import Event

_SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY, body TEXT NOT NULL, published REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS delivery (
    subscription TEXT NOT NULL, event INTEGER NOT NULL REFERENCES event (id), due REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (subscription, event)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS delivery_due ON delivery (subscription, due, event);
CREATE INDEX IF NOT EXISTS delivery_event ON delivery (event);
CREATE TABLE IF NOT EXISTS progress (
    one INTEGER PRIMARY KEY CHECK (one = 1), sequencer INTEGER NOT NULL, segment TEXT NOT NULL, offset INTEGER NOT NULL
);
INSERT OR IGNORE INTO progress VALUES (1, 0, '', 0);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """One event that one subscription has yet to deliver. `published` is seconds since the epoch."""

    id: int
    body: str
    published: float
    attempts: int

    @property
    def event(self) -> Event:
        """The event, parsed."""
        event: Event = json.loads(self.body)
        return event


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What one subscription has yet to deliver. `oldest` is seconds since the epoch; 0 where nothing waits."""

    events: int
    tried: int
    """Those of which an attempt has failed already."""
    oldest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """An event to store, made from its sequencer, and the names of the subscriptions that want it."""

    make: Callable[[int], Event]
    subscriptions: Sequence[str]


class EventQueue:
    """The queue in `path`. All calls are short (one small transaction) and made from one thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise StartError(
                f"the event queue {path} cannot be opened ({error}): move it away to start afresh"
            ) from error

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it."""
        self._db.close()

    def begin(self, subscriptions: Iterable[str]) -> int:
        """At a start: all that is pending is due now; what no subscription of ours waits for is removed.

        Returns the number of deliveries that an earlier run left.
        """
        names = json.dumps(list(subscriptions))
        with self._transaction():
            self._db.execute(
                "DELETE FROM delivery WHERE subscription NOT IN (SELECT value FROM json_each(?))", (names,)
            )
            self._db.execute("DELETE FROM event WHERE id NOT IN (SELECT event FROM delivery)")
            self._db.execute("UPDATE delivery SET due = 0")
        return self.depth()

    def position(self) -> Position:
        """How far the log of written blobs has become events."""
        segment, offset = self._db.execute("SELECT segment, offset FROM progress").fetchone()
        return Position(segment=segment, offset=offset)

    def publish(self, publications: Iterable[Publication], *, now: float, position: Position | None = None) -> int:
        """Store the events that someone wants, and the source's position with them. Returns how many."""
        stored = 0
        with self._transaction():
            (sequencer,) = self._db.execute("SELECT sequencer FROM progress").fetchone()
            for publication in publications:
                if not publication.subscriptions:
                    continue
                sequencer += 1
                stored += 1
                body = json.dumps(publication.make(sequencer), ensure_ascii=False, separators=(",", ":"))
                self._db.execute("INSERT INTO event VALUES (?, ?, ?)", (sequencer, body, now))
                self._db.executemany(
                    "INSERT INTO delivery (subscription, event, due) VALUES (?, ?, ?)",
                    [(name, sequencer, now) for name in publication.subscriptions],
                )
            self._db.execute("UPDATE progress SET sequencer = ?", (sequencer,))
            if position is not None:
                self._db.execute("UPDATE progress SET segment = ?, offset = ?", (position.segment, position.offset))
        return stored

    def take(self, subscription: str, *, now: float, limit: int, limit_bytes: int, lease: float) -> list[Pending]:
        """Up to `limit` due deliveries, at most `limit_bytes` of them unless the first alone is larger.

        They come due again after `lease` seconds unless `done`, `again` or a new start says otherwise.
        """
        rows = self._db.execute(
            "SELECT event.id, body, published, attempts FROM delivery JOIN event ON event.id = delivery.event"
            " WHERE subscription = ? AND due <= ? ORDER BY due, event.id LIMIT ?",
            (subscription, now, limit),
        )
        taken: list[Pending] = []
        size = 2  # the array's brackets
        for id_, body, published, attempts in rows:
            size += len(body.encode()) + 1
            if taken and size > limit_bytes:
                break
            taken.append(Pending(id=id_, body=body, published=published, attempts=attempts))
        self.again(subscription, [(pending.id, pending.attempts, now + lease) for pending in taken])
        return taken

    def again(self, subscription: str, deliveries: Iterable[tuple[int, int, float]]) -> None:
        """Set (event, attempts so far, due) of deliveries that stay."""
        with self._transaction():
            self._db.executemany(
                "UPDATE delivery SET attempts = ?, due = ? WHERE subscription = ? AND event = ?",
                [(attempts, due, subscription, event) for event, attempts, due in deliveries],
            )

    def done(self, subscription: str, events: Iterable[int]) -> None:
        """Forget deliveries, and the events that no other subscription waits for."""
        ids = [(event,) for event in events]
        with self._transaction():
            self._db.executemany(
                "DELETE FROM delivery WHERE subscription = ? AND event = ?",
                [(subscription, id_) for (id_,) in ids],
            )
            self._db.executemany(
                "DELETE FROM event WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM delivery WHERE event = ?1)",
                ids,
            )

    def hasten(self, now: float) -> None:
        """Make all that waits for another attempt due now: its endpoint has come back."""
        self._db.execute("UPDATE delivery SET due = ? WHERE due > ? AND attempts > 0", (now, now))

    def next_due(self, subscription: str) -> float | None:
        """When the subscription's next delivery is due (seconds since the epoch); None when it has none."""
        (due,) = self._db.execute("SELECT min(due) FROM delivery WHERE subscription = ?", (subscription,)).fetchone()
        return None if due is None else float(due)

    def backlog(self, subscription: str) -> Backlog:
        """How much waits, how much of it was tried in vain, and since when."""
        events, tried, oldest = self._db.execute(
            "SELECT count(*), coalesce(sum(attempts > 0), 0), coalesce(min(published), 0)"
            " FROM delivery JOIN event ON event.id = delivery.event WHERE subscription = ?",
            (subscription,),
        ).fetchone()
        return Backlog(events=int(events), tried=int(tried), oldest=float(oldest))

    def depth(self) -> int:
        """How many deliveries are pending."""
        (count,) = self._db.execute("SELECT count(*) FROM delivery").fetchone()
        return int(count)

    def _transaction(self) -> "_Transaction":
        return _Transaction(self._db)


class _Transaction:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")
