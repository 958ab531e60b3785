"""Finds the app's functions, as Microsoft's Python worker does, and refuses what it would refuse.

https://learn.microsoft.com/azure/azure-functions/functions-reference-python (v2 model): the module
`function_app` is imported from the app's root inside the running loop; its one FunctionApp lists the functions.
"""

import importlib
import importlib.abc
import importlib.machinery
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

from azure.functions import FunctionRegister

from localcloud.errors import LocalCloudError
from localcloud.functions.route import RouteError, parse_route


class IndexingError(LocalCloudError):
    """The app cannot be indexed, so none of its functions is there. The message says which and why."""


class AuthLevel(Enum):
    """Which key an HTTP function asks for."""

    ANONYMOUS = "anonymous"
    FUNCTION = "function"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpTrigger:
    """An HTTP function's address. `methods` in capitals; none means all."""

    route: str
    methods: frozenset[str]
    level: AuthLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerTrigger:
    """A timer's schedule as it is written, `%SETTING%` and all. `monitor` None is the host's own choice."""

    schedule: str
    run_on_startup: bool
    monitor: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventGridTrigger:
    """A function that the Event Grid webhook calls, once for each event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppFunction:
    """One function of the app: what calls it, and how it is called."""

    name: str
    trigger: HttpTrigger | TimerTrigger | EventGridTrigger
    argument: str
    call: Callable[..., Any]
    returns: bool
    wants_context: bool

    @property
    def is_async(self) -> bool:
        """True for a coroutine function."""
        return inspect.iscoroutinefunction(self.call)


class _WorkersOwnModule(importlib.abc.MetaPathFinder):
    """Refuses the import of names that mean another module inside Microsoft's Python worker."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname == "worker" or fullname.startswith("worker."):
            raise ImportError(
                "a function app cannot import `worker`: on Azure that name is a module of the Functions worker itself",
                name=fullname,
            )
        return None


def load_app(app_root: Path) -> list[AppFunction]:
    """Import `function_app` from `app_root` (once a process) and list its functions. Raises IndexingError."""
    if not (app_root / "function_app.py").is_file():
        raise IndexingError(f"{app_root} has no function_app.py")
    if (app_root / "grpc").is_dir():
        raise IndexingError("a folder named `grpc` in the app's root hides the library that the Functions worker needs")
    sys.meta_path.insert(0, _WorkersOwnModule())
    if str(app_root) not in sys.path:
        sys.path.insert(0, str(app_root))
    try:
        module = importlib.import_module("function_app")
    except Exception as error:
        raise IndexingError(f"function_app.py cannot be imported: {_where(error)}") from error
    return index(_only_app(module))


def _where(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    inner = [frame for frame in frames if "importlib" not in frame.filename]
    place = f" ({inner[-1].filename}:{inner[-1].lineno})" if inner else ""
    return f"{type(error).__name__}: {error}{place}"


def _only_app(module: ModuleType) -> FunctionRegister:
    apps = {id(value): value for value in vars(module).values() if isinstance(value, FunctionRegister)}
    if len(apps) != 1:
        raise IndexingError(f"function_app.py must have exactly one FunctionApp at its top level; it has {len(apps)}")
    return next(iter(apps.values()))


def index(app: FunctionRegister) -> list[AppFunction]:
    """The functions of `app`. Raises IndexingError, as one wrong function hides all of them on Azure."""
    try:
        functions = app.get_functions()  # refuses duplicate names
    except ValueError as error:
        raise IndexingError(str(error)) from error
    return [_read(function.get_function_name() or "", function) for function in functions]


def _read(name: str, function: Any) -> AppFunction:
    bindings: list[Mapping[str, Any]] = function.get_bindings_dict()["bindings"]
    triggers = [binding for binding in bindings if str(binding["type"]).endswith("Trigger")]
    outputs = [binding for binding in bindings if binding not in triggers]
    call = function.get_user_function()
    if len(triggers) != 1:
        raise IndexingError(f"function {name!r} has {len(triggers)} triggers instead of one")
    for output in outputs:
        if output["type"] != "http" or output["name"] != "$return":
            raise IndexingError(f"function {name!r}: the local host does not offer the binding {output['type']!r}")
    argument = str(triggers[0]["name"])
    parameters = set(inspect.signature(call).parameters)
    if argument not in parameters:
        raise IndexingError(f"function {name!r} has no parameter {argument!r} for its trigger")
    if extra := parameters - {argument, "context"}:
        raise IndexingError(f"function {name!r}: nothing is bound to its parameter {min(extra)!r}")
    return AppFunction(
        name=name,
        trigger=_trigger(name, triggers[0]),
        argument=argument,
        call=call,
        returns=bool(outputs),
        wants_context="context" in parameters and argument != "context",
    )


def _trigger(name: str, binding: Mapping[str, Any]) -> HttpTrigger | TimerTrigger | EventGridTrigger:
    match binding["type"]:
        case "eventGridTrigger":
            return EventGridTrigger()
        case "timerTrigger":
            return TimerTrigger(
                schedule=str(binding["schedule"]),
                run_on_startup=bool(binding.get("runOnStartup")),
                monitor=binding.get("useMonitor"),
            )
        case "httpTrigger":
            route = str(binding.get("route") or name)
            try:
                parse_route(route)
            except RouteError as error:
                raise IndexingError(f"function {name!r}: {error}") from error
            return HttpTrigger(
                route=route,
                methods=frozenset(_word(method).upper() for method in binding.get("methods") or ()),
                level=AuthLevel(_word(binding.get("authLevel") or "function").lower()),
            )
        case other:
            raise IndexingError(f"function {name!r}: the local host does not offer the trigger {other!r}")


def _word(value: object) -> str:
    return str(value.value) if isinstance(value, Enum) else str(value)
