"""Route templates of HTTP functions."""

import pytest

from localcloud.functions.route import Candidate, RouteError, choose, parse_route


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("api/status", "api/status", {}),
        ("api/status", "API/Status", {}),
        ("api/status", "api/status/", {}),
        ("api/images/{name}", "api/images/a%20b%C3%BC.jpg", {"name": "a bü.jpg"}),
        ("api/images/{*name}", "api/images/x/y%2Fz.jpg", {"name": "x/y/z.jpg"}),
        ("api/images/{*name}", "api/images", {}),
        ("api/jobs/{id:int}", "api/jobs/42", {"id": "42"}),
        ("api/jobs/{id:int?}", "api/jobs", {}),
        ("api/jobs/{id?}", "api/jobs/7", {"id": "7"}),
        ("api/jobs/{id=1}", "api/jobs", {"id": "1"}),
        ("api/{a}/{b}", "api/x/y", {"a": "x", "b": "y"}),
        ("api/{name}.{kind}", "api/photo.jpg", {"name": "photo", "kind": "jpg"}),
        ("{*all}", "", {}),
        (
            "api/x/{id:guid}",
            "api/x/0f8fad5b-d9cb-469f-a165-70867728950e",
            {"id": "0f8fad5b-d9cb-469f-a165-70867728950e"},
        ),
        ("api/x/{flag:bool}", "api/x/TRUE", {"flag": "TRUE"}),
    ],
)
def test_a_path_that_fits_gives_its_parameters(template: str, path: str, values: dict[str, str]) -> None:
    assert parse_route(template).match(path) == values


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("api/status", "api/status/more"),
        ("api/status", "api"),
        ("api/jobs/{id:int}", "api/jobs/x"),
        ("api/jobs/{id:int}", "api/jobs/99999999999"),
        ("api/jobs/{id:int}", "api/jobs"),
        ("api/images/{name}", "api/images/a/b"),
        ("api/x/{word:alpha}", "api/x/a1"),
        ("api/a.c", "api/abc"),
    ],
)
def test_a_path_that_does_not_fit_is_not_matched(template: str, path: str) -> None:
    assert parse_route(template).match(path) is None


@pytest.mark.parametrize("template", ["a/{b:regex(x)}", "a/{b", "a/{*b}/c", "a/{b}/{B}", "a/{1b}"])
def test_a_template_that_the_host_does_not_understand_is_refused(template: str) -> None:
    with pytest.raises(RouteError, match="route"):
        parse_route(template)


def _candidate(name: str, template: str, *methods: str) -> Candidate:
    return Candidate(function=name, route=parse_route(template), methods=frozenset(methods))


def test_the_more_specific_route_wins_whatever_the_order() -> None:
    """Literal before constrained before free before catch-all."""
    candidates = [
        _candidate("rest", "api/{*rest}"),
        _candidate("free", "api/{name}"),
        _candidate("number", "api/{id:int}"),
        _candidate("literal", "api/status"),
    ]
    served = {
        path: found[0]
        for path in ("api/status", "api/7", "api/x", "api/x/y")
        if (found := choose(candidates, method="GET", path=path))
    }
    assert served == {"api/status": "literal", "api/7": "number", "api/x": "free", "api/x/y": "rest"}


def test_a_method_that_no_function_takes_is_not_found() -> None:
    candidates = [_candidate("get", "api/x", "GET"), _candidate("post", "api/x", "POST")]
    assert choose(candidates, method="POST", path="api/x") == ("post", {})
    assert choose(candidates, method="PUT", path="api/x") is None
