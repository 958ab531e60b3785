"""The page and its files, without a browser: what is served, to whom, under which policy."""

from __future__ import annotations

import re
from pathlib import Path

import azure.functions as func
import pytest

from pipeline.dashboard import assets
from pipeline.dashboard.reply import error_reply, json_reply
from pipeline.dashboard.routes import add_dashboard

PAGES = Path(assets.__file__).resolve().parent.parent / "pages"
SCRIPTS = sorted(path for path in PAGES.glob("*.js"))


def levels() -> dict[str, tuple[str, list[str]]]:
    """Authorisation level and methods of each of the dashboard's functions."""
    app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)

    async def never() -> object:
        raise AssertionError("no request is made here")

    add_dashboard(app, never)  # type: ignore[arg-type]  # never called
    found = {}
    for function in app.get_functions():
        trigger = next(b for b in function.get_bindings() if b.type == "httpTrigger").get_dict_repr()
        found[str(function.get_function_name())] = (
            getattr(trigger["authLevel"], "value", trigger["authLevel"]).lower(),
            [getattr(method, "value", method).upper() for method in trigger["methods"]],
        )
    return found


def test_everything_with_data_or_effect_needs_the_key() -> None:
    """Only the empty page and its files are open; they are the same for everyone."""
    anonymous = {name for name, (level, _) in levels().items() if level == "anonymous"}
    assert anonymous == {"dashboard_page", "dashboard_files"}


def test_only_replay_changes_anything_and_it_takes_post_only() -> None:
    methods = {name: methods for name, (_, methods) in levels().items()}
    assert methods.pop("dashboard_replay") == ["POST"]
    assert set(map(tuple, methods.values())) == {("GET",)}


@pytest.mark.parametrize("reply", [assets.page(), assets.asset("main.js"), json_reply({}), error_reply(404, "no")])
def test_every_answer_carries_the_policy(reply: object) -> None:
    headers = reply.headers  # type: ignore[attr-defined]  # a Reply
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_the_page_has_no_inline_script_or_style_and_no_other_host() -> None:
    text = assets.page().body.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert "<style" not in text
    assert not re.search(r"\sstyle=", text)
    assert not re.search(r"\son\w+=", text)
    assert not re.search(r"(https?:)?//[a-z]", text)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_never_hand_text_to_a_parser(path: Path) -> None:
    text = path.read_text("utf-8")
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert forbidden not in text


def test_every_file_that_the_page_names_is_served() -> None:
    named = re.findall(r'"/api/dashboard/files/([^"]+)"', assets.page().body.decode())
    imported = [name for path in SCRIPTS for name in re.findall(r'from "\./([^"]+)"', path.read_text("utf-8"))]
    assert {assets.asset(name).status for name in (*named, *imported)} == {200}


@pytest.mark.parametrize(
    "name", ["../status.py", "index.html", "..%2fstatus.py", "vendor/README.md", "", "nul", "main.js/"]
)
def test_nothing_but_the_listed_files_is_served(name: str) -> None:
    assert assets.asset(name).status == 404


def test_a_file_that_the_browser_has_is_not_sent_again() -> None:
    first = assets.asset("style.css")
    again = assets.asset("style.css", known_tag=first.headers["ETag"])
    assert (again.status, again.body) == (304, b"")


def test_the_vendored_library_has_its_licence() -> None:
    assert "MIT License" in (PAGES / "vendor" / "uPlot.LICENSE").read_text("utf-8")
