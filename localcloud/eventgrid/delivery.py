"""Delivery of one subscription's events to its endpoint: handshake, batches, retries, dead letters.

https://learn.microsoft.com/azure/event-grid/delivery-and-retry
https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema
"""

import asyncio
import contextlib
import json
import logging
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random

import aiohttp

from localcloud.eventgrid.deadletter import BlobStore, DeadLetter, bury
from localcloud.eventgrid.event import custom_topic, storage_topic, validation
from localcloud.eventgrid.queue import EventQueue, Pending
from localcloud.eventgrid.retry import (
    ANSWER_SECONDS,
    NO_ANSWER,
    UNREACHABLE,
    Again,
    Answer,
    GiveUp,
    after_failure,
    answered,
)
from localcloud.eventgrid.subscription import EventSubscription

_log = logging.getLogger(__name__)

_PARALLEL_DELIVERIES = 8
_LEASE_SECONDS = ANSWER_SECONDS * 4.0
_HANDSHAKE_PAUSE_SECONDS = 1.0
_DEAD_LETTER_PAUSE_SECONDS = 60.0


class Delivery:
    """Delivers what the queue holds for one subscription until it is cancelled.

    `endpoint` is asked each time, since a restarted host may have another address. `speed` shortens the
    waits between attempts and the time to live, never the 30 s that an endpoint has to answer. `report` gets
    one line for each event that is given up.
    """

    def __init__(
        self,
        subscription: EventSubscription,
        *,
        queue: EventQueue,
        http: aiohttp.ClientSession,
        endpoint: Callable[[], str],
        store: BlobStore,
        account: str,
        report: Callable[[str], None],
        speed: float = 1.0,
        random: Random | None = None,
    ) -> None:
        self.subscription = subscription
        self.validated = asyncio.Event()
        self.last_failure = ""
        """What the endpoint answered to the last delivery, where it did not accept it."""
        self._queue = queue
        self._http = http
        self._endpoint = endpoint
        self._store = store
        self._topic = custom_topic(subscription.topic) if subscription.topic else storage_topic(account)
        self._report = report
        self._speed = speed
        self._random = random or Random()  # noqa: S311 - spreads retries, guards nothing
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Something may be due."""
        self._wake.set()

    async def run(self) -> None:
        """Shake hands, then deliver for ever."""
        while not await self._shake_hands():  # noqa: ASYNC110 - the other side is another process
            await asyncio.sleep(_HANDSHAKE_PAUSE_SECONDS)
        self.validated.set()
        slots = asyncio.Semaphore(_PARALLEL_DELIVERIES)
        async with asyncio.TaskGroup() as running:
            while True:
                await slots.acquire()
                batch = await self._next_batch()
                running.create_task(self._deliver(batch)).add_done_callback(lambda _: slots.release())

    async def _next_batch(self) -> list[Pending]:
        while True:
            self._wake.clear()
            batch = self._queue.take(
                self.subscription.name,
                now=time.time(),
                limit=self.subscription.max_events_per_batch,
                limit_bytes=self.subscription.preferred_batch_size_kb * 1024,
                lease=_LEASE_SECONDS,
            )
            if batch:
                return batch
            due = self._queue.next_due(self.subscription.name)
            wait = None if due is None else max(due - time.time(), 0.0)
            # Not wait_for: before Python 3.12 it loses a cancellation that comes together with the event.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()

    async def _shake_hands(self) -> bool:
        code = str(uuid.uuid4())
        event = validation(topic=self._topic, code=code, at=datetime.now(UTC))
        try:
            async with self._http.post(
                self._endpoint(),
                json=[event],
                headers=self._headers("SubscriptionValidation", 0),
                timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
            ) as response:
                body = await response.text()
                accepted = response.status == 200 and json.loads(body).get("validationResponse") == code
        except (aiohttp.ClientError, OSError, ValueError, AttributeError) as error:
            _log.info("handshake subscription=%s failed: %r", self.subscription.name, error)
            return False
        if not accepted:
            _log.warning(
                "handshake subscription=%s refused: status=%s %.200s",
                self.subscription.name,
                response.status,
                body,
            )
        return accepted

    def _headers(self, kind: str, attempts: int) -> dict[str, str]:
        return {
            "aeg-event-type": kind,
            "aeg-subscription-name": self.subscription.name.upper(),
            "aeg-delivery-count": str(attempts),
            "aeg-data-version": "",
            "aeg-metadata-version": "1",
            "Content-Type": "application/json; charset=utf-8",
        }

    async def _deliver(self, batch: Sequence[Pending]) -> None:
        started = datetime.now(UTC)
        answer = await self._post(batch)
        self.last_failure = "" if answer.accepted else f"{answer.status or 'no answer:'} {answer.outcome}"
        if answer.accepted:
            self._queue.done(self.subscription.name, [pending.id for pending in batch])
            return
        _log.warning(
            "delivery subscription=%s events=%d failed: %s",
            self.subscription.name,
            len(batch),
            answer.outcome,
        )
        now = time.time()
        again: list[tuple[int, int, float]] = []
        letters: list[DeadLetter] = []
        for pending in batch:
            decision = self._decide(pending, answer, now)
            if isinstance(decision, Again):
                due = now + decision.delay.total_seconds() / self._speed
                again.append((pending.id, pending.attempts + 1, due))
            else:
                letters.append(
                    DeadLetter(pending=pending, reason=decision.reason, outcome=answer.outcome, attempted=started)
                )
        self._queue.again(self.subscription.name, again)
        if letters:
            await self._give_up(letters)
        self.wake()

    def _decide(self, pending: Pending, answer: Answer, now: float) -> Again | GiveUp:
        return after_failure(
            answer,
            attempts=pending.attempts + 1,
            max_attempts=self.subscription.max_delivery_attempts,
            age=timedelta(seconds=(now - pending.published) * self._speed),
            time_to_live=timedelta(minutes=self.subscription.event_ttl_minutes),
            random=self._random,
        )

    async def _post(self, batch: Sequence[Pending]) -> Answer:
        body = "[" + ",".join(pending.body for pending in batch) + "]"
        try:
            async with self._http.post(
                self._endpoint(),
                data=body.encode(),
                headers=self._headers("Notification", max(pending.attempts for pending in batch)),
                timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
            ) as response:
                await response.read()
                return answered(response.status)
        except TimeoutError:
            return NO_ANSWER
        except (aiohttp.ClientError, OSError) as error:
            _log.info("endpoint of subscription=%s is away: %r", self.subscription.name, error)
            return UNREACHABLE

    async def _give_up(self, letters: Sequence[DeadLetter]) -> None:
        name, container = self.subscription.name, self.subscription.dead_letter_container
        what = f"{len(letters)} event(s) of {name} given up after {letters[0].reason} ({letters[0].outcome})"
        if container is None:
            self._report(f"{what}: dropped, since the subscription has no dead-letter container")
        else:
            try:
                blob = await bury(self._store, container, name, letters)
            except OSError as error:
                # Kept for another round: a dead letter that cannot be written is no reason to lose the event.
                _log.warning("dead letters of %s cannot be written: %s", name, error)
                due = time.time() + _DEAD_LETTER_PAUSE_SECONDS
                self._queue.again(name, [(letter.pending.id, letter.pending.attempts, due) for letter in letters])
                return
            self._report(f"{what}: {container}/{blob}")
        self._queue.done(name, [letter.pending.id for letter in letters])
