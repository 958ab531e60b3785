"""The function app's public doors: HTTP functions with a key, and the host's admin route.

https://learn.microsoft.com/azure/azure-functions/functions-http-trigger-configuration#use-access-keys
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from darkroom.failure import CommandError, ExitCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the app said."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body as JSON. Raises CommandError when it is something else."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise CommandError(
                f"The function app answered {self.status} with something that is not JSON", code=ExitCode.UNREACHABLE
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class AppDoor:
    """The function app at `url`. Blocking; a call takes `timeout` seconds at most."""

    url: str
    key: str
    master_key: str = ""

    @property
    def known(self) -> bool:
        """Whether the profile says where the app is."""
        return bool(self.url)

    def call(
        self,
        path: str,
        *,
        method: str = "GET",
        query: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
        key: str | None = None,
        timeout: float = 20,
    ) -> Answer:
        """The app's answer, whatever its status. Raises CommandError when there is none."""
        if not self.url:
            raise CommandError(
                "Where the function app is, is not known",
                code=ExitCode.SETTINGS,
                hint="Set DARKROOM_FUNCTIONS_URL and DARKROOM_FUNCTIONS_KEY in the profile.",
            )
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        target = f"{parts.path}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": "application/json"}
        payload = None
        if body is not None:
            payload = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        chosen = self.key if key is None else key
        if chosen:
            headers["x-functions-key"] = chosen
        connection = kind(parts.hostname or "", parts.port, timeout=timeout)
        try:
            connection.request(method, target, body=payload, headers=headers)
            response = connection.getresponse()
            return Answer(status=response.status, body=response.read())
        except (OSError, http.client.HTTPException) as error:
            raise CommandError(
                f"The function app at {self.url} does not answer ({error})",
                code=ExitCode.UNREACHABLE,
                hint="Is it running? On one machine: make up. On Azure: look at the Function App in the portal.",
            ) from error
        finally:
            connection.close()

    def ask(self, path: str, *, method: str = "GET", timeout: float = 20, **rest: Any) -> Any:
        """The JSON of a good answer. Raises CommandError for every other."""
        answer = self.call(path, method=method, timeout=timeout, **rest)
        if answer.status in (401, 403):
            raise CommandError(
                f"The function app refused the key ({answer.status} for {path})",
                code=ExitCode.DENIED,
                hint="Set DARKROOM_FUNCTIONS_KEY to a function or host key of the app.",
            )
        if answer.status == 404:
            raise CommandError(f"The function app has no {path}", code=ExitCode.NOT_FOUND)
        if not 200 <= answer.status < 300:
            said = answer.body[:300].decode("utf-8", "replace")
            raise CommandError(f"The function app answered {answer.status} to {path}: {said}")
        return answer.json()

    def start_function(self, name: str, *, timeout: float = 20) -> bool:
        """Starts a timer's function by hand through the host's admin route; False where there is no master key.

        https://learn.microsoft.com/azure/azure-functions/functions-manually-run-non-http
        """
        if not self.master_key:
            return False
        answer = self.call(
            f"/admin/functions/{name}", method="POST", body={"input": ""}, key=self.master_key, timeout=timeout
        )
        return answer.status == 202
