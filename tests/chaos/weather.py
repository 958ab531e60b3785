"""Which request meets which fault: seeded rules, drawn once a request, counted by kind."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What can happen to a request between a client and a service."""

    DROP = "drop"  # the request never arrives; the connection is reset
    DELAY = "delay"  # the request arrives late
    DUPLICATE = "duplicate"  # the request arrives twice; the second answer comes back
    CUT_REQUEST = "cut-request"  # half the request arrives, then both connections are reset
    CUT_ANSWER = "cut-answer"  # it took place; half the answer comes back, then a reset
    LOSE_ANSWER = "lose-answer"  # it took place; nothing comes back but a reset
    FALSE_ERROR = "false-error"  # it took place; the answer says 500
    DENIED = "403"  # refused as without a role: no rule of a round has it
    TOO_MANY = "429"  # refused without Retry-After
    TOO_MANY_LATER = "429-retry-after"
    INTERNAL = "500"
    BUSY = "503"
    BUSY_LATER = "503-retry-after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A fault and the share of requests that meet it."""

    fault: Fault
    rate: float
    """0 to 1, of the requests that match; the rates of all rules that match one request add up to at most 1."""
    method: str = ""
    """Regular expression for the whole method; empty: any."""
    target: str = ""
    """Regular expression searched in path and query, as sent; empty: any."""

    def matches(self, method: str, target: str) -> bool:
        """Whether the rule is about this request."""
        return re.fullmatch(self.method or ".*", method) is not None and re.search(self.target, target) is not None


class Weather:
    """Draws a fault, or none, for each request. The same seed and the same requests give the same faults."""

    def __init__(self, *, seed: int, rules: Sequence[Rule] = (), longest_delay: float = 0.5) -> None:
        """`longest_delay` in seconds."""
        self._random = random.Random(seed)
        self._rules = tuple(rules)
        self._longest_delay = longest_delay
        self.injected: Counter[Fault] = Counter()
        self.requests = 0

    def set_rules(self, rules: Sequence[Rule]) -> None:
        """From now on these rules hold; none means fair weather."""
        self._rules = tuple(rules)

    def draw(self, method: str, target: str) -> Fault | None:
        """The fault that this request meets."""
        self.requests += 1
        point = self._random.random()
        for rule in self._rules:
            if not rule.matches(method, target):
                continue
            if point < rule.rate:
                self.injected[rule.fault] += 1
                return rule.fault
            point -= rule.rate
        return None

    def delay(self) -> float:
        """Seconds, for a delayed request."""
        return self._random.uniform(0.0, self._longest_delay)

    def where_to_cut(self, length: int) -> int:
        """How many of `length` bytes still pass: less than all."""
        return self._random.randrange(length) if length else 0


def even(rates: Mapping[Fault, float], *, method: str = "", target: str = "") -> tuple[Rule, ...]:
    """One rule for each fault, all about the same requests."""
    return tuple(Rule(fault=fault, rate=rate, method=method, target=target) for fault, rate in rates.items())
