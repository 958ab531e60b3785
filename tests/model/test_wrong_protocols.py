"""Ways to empty an inbox that look right and are not: the explorer finds how each loses an arrival.

A miniature of the protocol: an append blob, appenders who were told that their line is durable, a reader who takes the
lines and removes the blob. Each variant differs in the reader alone, so what is caught is the reader's fault.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field

import pytest

from tests.model.explorer import ViolationError, explore
from tests.model.schedule import Budget, Scenario, Stage


class RotateError(Exception):
    """The inbox is sealed or gone: append to another one."""


@dataclass
class Inbox:
    """An append blob of storage."""

    lines: list[str] = field(default_factory=list)
    sealed: bool = False
    version: int = 0


@dataclass
class Account:
    """Inboxes, the manifests cut from them, and what appenders were told."""

    inboxes: dict[str, Inbox] = field(default_factory=dict)
    manifests: dict[str, tuple[str, ...]] = field(default_factory=dict)
    acknowledged: list[str] = field(default_factory=list)

    def snapshot(self) -> Hashable:
        inboxes = tuple((n, tuple(i.lines), i.sealed, i.version) for n, i in sorted(self.inboxes.items()))
        return inboxes, tuple(sorted(self.manifests.items())), tuple(self.acknowledged)

    def append(self, name: str, line: str) -> None:
        inbox = self.inboxes.setdefault(name, Inbox())
        if inbox.sealed:
            raise RotateError(name)
        inbox.lines.append(line)
        inbox.version += 1

    def seal(self, name: str) -> None:
        if name in self.inboxes:
            self.inboxes[name].sealed = True

    def body(self, name: str) -> tuple[str, ...] | None:
        return tuple(self.inboxes[name].lines) if name in self.inboxes else None

    def version(self, name: str) -> int:
        return self.inboxes[name].version if name in self.inboxes else -1

    def write_manifest(self, name: str, lines: tuple[str, ...]) -> None:
        self.manifests.setdefault(name, lines)  # If-None-Match: *

    def delete(self, name: str) -> None:
        self.inboxes.pop(name, None)

    def delete_if(self, name: str, version: int) -> None:
        if self.version(name) == version:
            self.inboxes.pop(name)

    def held(self) -> set[str]:
        inboxes = {line for inbox in self.inboxes.values() for line in inbox.lines}
        return inboxes | {line for lines in self.manifests.values() for line in lines}


Reader = Callable[[Stage, Account], Awaitable[None]]


async def read_then_delete_if_unchanged(stage: Stage, account: Account) -> None:
    """As it is often written. A GET of a growing append blob can carry an ETag newer than its body (Azurite)."""
    body = await stage.act("get: body", lambda: account.body("in"))
    version = await stage.act("get: etag", lambda: account.version("in"))
    if body is not None:
        await stage.act("put manifest", lambda: account.write_manifest(f"m{len(body)}", body))
        await stage.act("delete if unchanged", lambda: account.delete_if("in", version))


async def read_then_delete(stage: Stage, account: Account) -> None:
    """What arrives between the two is lost."""
    body = await stage.act("get", lambda: account.body("in"))
    if body is not None:
        await stage.act("put manifest", lambda: account.write_manifest("m", body))
        await stage.act("delete", lambda: account.delete("in"))


async def delete_before_the_manifest(stage: Stage, account: Account) -> None:
    """Sealed, but a crash between the two leaves nothing."""
    await stage.act("seal", lambda: account.seal("in"))
    body = await stage.act("get", lambda: account.body("in"))
    if body is not None:
        await stage.act("delete", lambda: account.delete("in"))
        await stage.act("put manifest", lambda: account.write_manifest("m", body))


async def seal_read_write_delete(stage: Stage, account: Account) -> None:
    """The right way."""
    await stage.act("seal", lambda: account.seal("in"))
    body = await stage.act("get", lambda: account.body("in"))
    if body is not None:
        await stage.act("put manifest", lambda: account.write_manifest("m", body))
        await stage.act("delete", lambda: account.delete("in"))


def scenario(stage: Stage, reader: Reader) -> Scenario:
    account = Account(inboxes={"in": Inbox(lines=["first"])}, acknowledged=["first"])

    async def appender(line: str) -> None:
        try:
            await stage.act(f"append {line}", lambda: account.append("in", line))
        except RotateError:
            await stage.act(f"append {line} elsewhere", lambda: account.append("in2", line))
        account.acknowledged.append(line)

    def nothing_is_lost() -> None:
        lost = set(account.acknowledged) - account.held()
        assert not lost, f"acknowledged and lost: {sorted(lost)}"

    return Scenario(
        world=account,
        actors={
            "appender a": lambda: appender("a"),
            "appender b": lambda: appender("b"),
            "reader": lambda: reader(stage, account),
        },
        always=nothing_is_lost,
        settle=lambda: asyncio.sleep(0),
        finally_=nothing_is_lost,
    )


@pytest.mark.parametrize("reader", [read_then_delete_if_unchanged, read_then_delete])
def test_readers_that_do_not_seal_lose_an_arrival(reader: Reader) -> None:
    with pytest.raises(ViolationError, match="acknowledged and lost"):
        explore(lambda stage: scenario(stage, reader), budget=Budget(), most_states=10_000)


def test_a_manifest_written_after_the_delete_is_lost_by_a_crash() -> None:
    with pytest.raises(ViolationError, match=r"acknowledged and lost"):
        explore(lambda stage: scenario(stage, delete_before_the_manifest), budget=Budget(crashes=1), most_states=10_000)


def test_sealing_first_and_deleting_last_loses_nothing() -> None:
    """The same explorer, the same appenders, crashes allowed: no schedule loses an arrival."""
    report = explore(
        lambda stage: scenario(stage, seal_read_write_delete), budget=Budget(crashes=2), most_states=10_000
    )
    assert report.schedules > 100
