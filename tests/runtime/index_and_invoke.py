"""Runs in an environment of its own: Microsoft's Python runtime library loads the app, and invokes what it is told.

The library speaks gRPC messages that the Functions host makes; here plain objects stand in for them. Reads one JSON
object a line on standard input (`{"function": NAME, "event": {…}}`), writes one a line.
"""

from __future__ import annotations

import asyncio
import json
import sys
from types import SimpleNamespace
from typing import Any
from uuid import uuid4


class Messages(type):
    """Any name is a message class; a name inside of a message class is an enumeration's value."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Messages(name, (Message,), {}) if cls is Message else VALUES.get(name, name)


VALUES = {"undefined": 0, "out": 1, "inout": 2}
"""Values that the library compares with numbers (FunctionRpc.proto, BindingInfo); of others the name will do."""


class Message(metaclass=Messages):
    """Keeps what it was made of."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


def typed_json(value: Any) -> Any:
    """What the host sends for an Event Grid event."""
    return SimpleNamespace(WhichOneof=lambda _: "json", json=json.dumps(value))


async def main(app_root: str) -> None:
    from azure_functions_runtime import handle_event  # type: ignore[import-not-found] # only in its own environment

    def request(**fields: Any) -> Any:
        return SimpleNamespace(properties={"host": "127.0.0.1", "protos": Message}, request=SimpleNamespace(**fields))

    sys.path.insert(0, app_root)
    begin = SimpleNamespace(capabilities={}, function_app_directory=app_root)
    answer = await handle_event.worker_init_request(request(worker_init_request=begin))
    failure = getattr(answer.result, "exception", None)
    metadata = await handle_event.functions_metadata_request(request())
    functions = {found.name: found for found in metadata.function_metadata_results or ()}
    tell(
        indexed=answer.result.status,
        failure=getattr(failure, "message", ""),
        functions={name: [json.loads(raw) for raw in found.raw_bindings] for name, found in functions.items()},
    )
    for line in sys.stdin:
        asked = json.loads(line)
        found = functions[asked["function"]]
        (trigger,) = (json.loads(raw)["name"] for raw in found.raw_bindings if '"in"' in raw.lower())
        invocation = SimpleNamespace(
            invocation_id=str(uuid4()),
            function_id=found.function_id,
            input_data=[SimpleNamespace(name=trigger, data=typed_json(asked["event"]), WhichOneof=lambda _: "data")],
            trigger_metadata={},
            trace_context=SimpleNamespace(trace_parent="", trace_state="", attributes={}),
            retry_context=SimpleNamespace(retry_count=0, max_retry_count=0, exception=None),
        )
        answer = await handle_event.invocation_request(request(invocation_request=invocation))
        failure = getattr(answer.result, "exception", None)
        tell(status=answer.result.status, failure=getattr(failure, "message", ""))


def tell(**fields: Any) -> None:
    """One line for the test."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


asyncio.run(main(sys.argv[1]))
