"""What Event Grid does after a delivery that was not acknowledged.

https://learn.microsoft.com/azure/event-grid/delivery-and-retry (an endpoint that is an Azure function)
"""

from dataclasses import dataclass
from datetime import timedelta
from random import Random

ANSWER_SECONDS = 30
"""How long Event Grid waits for an endpoint's answer."""

_SCHEDULE = tuple(timedelta(seconds=seconds) for seconds in (10, 30, 60, 300, 600, 1800, 3600, 10800, 21600))
_AFTER_THE_SCHEDULE = timedelta(hours=12)
_ACCEPTED = frozenset({200, 201, 202, 203, 204})
_FINAL = {400: "BadRequest", 403: "Forbidden", 413: "RequestEntityTooLarge"}
_AT_LEAST = {
    401: timedelta(minutes=5),
    404: timedelta(minutes=5),
    408: timedelta(minutes=2),
    503: timedelta(seconds=30),
}
_OUTCOMES = {
    401: "Unauthorized",
    404: "NotFound",
    408: "TimedOut",
    500: "InternalServerError",
    503: "Busy",
    **_FINAL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How an endpoint answered: an HTTP status, or None when it did not, with the word for the outcome."""

    status: int | None
    outcome: str

    @property
    def accepted(self) -> bool:
        """True when Event Grid counts the delivery as done."""
        return self.status in _ACCEPTED


def answered(status: int) -> Answer:
    """The answer of an endpoint that sent `status`."""
    return Answer(status=status, outcome=_OUTCOMES.get(status, "Delivered" if status in _ACCEPTED else "Undefined"))


NO_ANSWER = Answer(status=None, outcome="TimedOut")
UNREACHABLE = Answer(status=None, outcome="Aborted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Deliver again after `delay`."""

    delay: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """Deliver no more: to the dead-letter container if there is one. `reason` is Event Grid's word for it."""

    reason: str


def after_failure(
    answer: Answer,
    *,
    attempts: int,
    max_attempts: int,
    age: timedelta,
    time_to_live: timedelta,
    random: Random,
) -> Again | GiveUp:
    """The decision after attempt number `attempts` (1 is the first) failed with `answer`.

    `age` is the time since the event was published. A tenth of randomness is added to each step, as Event
    Grid adds "a small randomization".
    """
    if answer.status in _FINAL:
        return GiveUp(reason=_FINAL[answer.status])
    if attempts >= max_attempts:
        return GiveUp(reason="MaxDeliveryAttemptsExceeded")
    step = _SCHEDULE[attempts - 1] if attempts <= len(_SCHEDULE) else _AFTER_THE_SCHEDULE
    if answer.status is not None:
        step = max(step, _AT_LEAST.get(answer.status, step))
    delay = step * (1 + random.random() / 10)
    if age + delay >= time_to_live:
        return GiveUp(reason="TimeToLiveExceeded")
    return Again(delay=delay)
