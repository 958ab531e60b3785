"""The weather is seeded, obeys its rates and its rules, and counts what it did."""

from __future__ import annotations

from tests.chaos.weather import Fault, Rule, Weather, even


def draws(weather: Weather, count: int, target: str = "/a") -> list[Fault | None]:
    return [weather.draw("GET", target) for _ in range(count)]


def test_the_same_seed_draws_the_same_faults() -> None:
    rules = even({Fault.DROP: 0.1, Fault.BUSY: 0.1})
    assert draws(Weather(seed=7, rules=rules), 500) == draws(Weather(seed=7, rules=rules), 500)
    assert draws(Weather(seed=7, rules=rules), 500) != draws(Weather(seed=8, rules=rules), 500)


def test_each_fault_comes_at_its_rate() -> None:
    weather = Weather(seed=1, rules=even({Fault.DROP: 0.1, Fault.BUSY: 0.3}))
    drawn = draws(weather, 10_000)
    assert 900 < drawn.count(Fault.DROP) < 1100
    assert 2800 < drawn.count(Fault.BUSY) < 3200
    assert weather.injected == {Fault.DROP: drawn.count(Fault.DROP), Fault.BUSY: drawn.count(Fault.BUSY)}


def test_a_rule_is_only_about_what_it_names() -> None:
    weather = Weather(seed=1, rules=(Rule(fault=Fault.DROP, rate=1.0, method="PUT", target="inbox/"),))
    assert weather.draw("GET", "/manifests/inbox/1") is None
    assert weather.draw("PUT", "/converted/1.png") is None
    assert weather.draw("PUT", "/manifests/inbox/1") is Fault.DROP


def test_without_rules_the_weather_is_fair() -> None:
    weather = Weather(seed=1, rules=even({Fault.DROP: 1.0}))
    weather.set_rules(())
    assert draws(weather, 100) == [None] * 100
    assert weather.requests == 100
