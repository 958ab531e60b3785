"""Every interleaving of appenders and dispatchers, with crashes and lost answers: nothing is lost, nothing forks."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.model.darkroom import House, arrival, unavailable
from tests.model.explorer import Report, explore
from tests.model.schedule import Budget, Scenario, Stage

A, B, C, D = (arrival(f"{letter}.jpg") for letter in "abcd")


def run(make: Callable[[Stage], Scenario], budget: Budget, *, most_states: int = 60_000) -> Report:
    return explore(make, budget=budget, most_states=most_states, lost_error=unavailable, refused_error=unavailable)


def one_of_each(stage: Stage) -> Scenario:
    house = House(stage)
    actors = {"appender": house.appender("p", A, B), "dispatcher": house.dispatcher("d", steps=2)}
    return house.scenario(actors, finally_=house.each_once)


def two_dispatchers(stage: Stage) -> Scenario:
    house = House(stage)
    house.already_arrived("o", A)
    actors = {
        "appender": house.appender("p", B),
        "dispatcher 1": house.dispatcher("d1"),
        "dispatcher 2": house.dispatcher("d2"),
    }
    return house.scenario(actors, finally_=house.each_once)


def test_one_appender_and_one_dispatcher_with_two_crashes() -> None:
    report = run(one_of_each, Budget(crashes=2))
    print(report)


def test_two_dispatchers() -> None:
    report = run(two_dispatchers, Budget())
    print(report)
