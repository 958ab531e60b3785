"""What of an app is indexed, and which apps are refused as Azure refuses them."""

import subprocess
import sys
from pathlib import Path

import azure.functions as func
import pytest

from localcloud.functions.index import AuthLevel, EventGridTrigger, HttpTrigger, IndexingError, TimerTrigger, index

ROOT = Path(__file__).parents[3]


def test_each_kind_of_trigger_is_read() -> None:
    app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)

    @app.event_grid_trigger(arg_name="event")
    async def ingest(event: func.EventGridEvent) -> None: ...

    @app.function_name("every-minute")
    @app.timer_trigger(arg_name="timer", schedule="%EVERY%", run_on_startup=True, use_monitor=False)
    def tick(timer: func.TimerRequest, context: func.Context) -> None: ...

    @app.route(route="a/{b}", methods=["get"], auth_level=func.AuthLevel.ANONYMOUS)
    def page(req: func.HttpRequest) -> str:
        return ""

    @app.route()
    def plain(req: func.HttpRequest) -> str:
        return ""

    found = {function.name: function for function in index(app)}
    assert found["ingest"].trigger == EventGridTrigger()
    assert found["ingest"].is_async
    assert found["every-minute"].trigger == TimerTrigger(schedule="%EVERY%", run_on_startup=True, monitor=False)
    assert found["every-minute"].wants_context
    assert found["page"].trigger == HttpTrigger(route="a/{b}", methods=frozenset({"GET"}), level=AuthLevel.ANONYMOUS)
    assert found["plain"].trigger == HttpTrigger(route="plain", methods=frozenset(), level=AuthLevel.FUNCTION)


def test_a_parameter_that_nothing_is_bound_to_is_refused() -> None:
    app = func.FunctionApp()

    @app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
    def tick(timer: func.TimerRequest, extra: int) -> None: ...

    with pytest.raises(IndexingError, match=r"tick.*extra"):
        index(app)


def test_a_trigger_without_its_parameter_is_refused() -> None:
    app = func.FunctionApp()

    @app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
    def tick() -> None: ...

    with pytest.raises(IndexingError, match=r"tick.*timer"):
        index(app)


def test_a_trigger_that_is_not_offered_is_named() -> None:
    app = func.FunctionApp()

    @app.queue_trigger(arg_name="msg", queue_name="q", connection="C")
    def work(msg: func.QueueMessage) -> None: ...

    with pytest.raises(IndexingError, match=r"work.*queueTrigger"):
        index(app)


def _load(app_root: Path, source: str) -> str:
    """Load an app in a process of its own, since a process imports `function_app` once; what it says."""
    (app_root / "function_app.py").write_text(source)
    code = (
        "import sys; from pathlib import Path; from localcloud.functions.index import *\n"
        "try: print('loaded', len(load_app(Path(sys.argv[1]))))\n"
        "except IndexingError as error: print('refused', error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(app_root)], capture_output=True, text=True, timeout=60, cwd=ROOT, check=True
    )
    return done.stdout


_HEAD = "import azure.functions as func\napp = func.FunctionApp()\n"
_TIMER = "@app.timer_trigger(arg_name='t', schedule='0 * * * * *')\ndef {0}(t: func.TimerRequest) -> None: ...\n"


def test_an_app_is_loaded_from_its_root(tmp_path: Path) -> None:
    assert _load(tmp_path, _HEAD + _TIMER.format("a") + _TIMER.format("b")) == "loaded 2\n"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import worker\n", "cannot import `worker`"),
        ("from worker.convert import x\n", "cannot import `worker`"),
        ("1/0\n", "ZeroDivisionError"),
        ("x = 1\n", "exactly one FunctionApp"),
        (_HEAD + "other = func.FunctionApp()\n", "it has 2"),
        (_HEAD + _TIMER.format("a") + _TIMER.format("a"), "a"),
    ],
)
def test_an_app_that_azure_would_not_index_is_refused_with_the_reason(tmp_path: Path, source: str, said: str) -> None:
    answer = _load(tmp_path, source)
    assert answer.startswith("refused ")
    assert said in answer


def test_the_place_of_an_error_is_told(tmp_path: Path) -> None:
    assert "function_app.py:2" in _load(tmp_path, "\n1/0\n")


def test_a_folder_that_hides_the_workers_library_is_refused(tmp_path: Path) -> None:
    (tmp_path / "grpc").mkdir()
    assert "grpc" in _load(tmp_path, _HEAD)
