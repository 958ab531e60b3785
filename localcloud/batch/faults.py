"""Misbehaviour on demand that has nothing to do with Batch's state: requests that are refused or fail."""

from dataclasses import dataclass, field

from localcloud.batch.core.errors import Refused


@dataclass(slots=True, kw_only=True)
class RequestFault:
    """The next `times` requests whose method and path match get `code`; `retry_after` seconds go into a header.

    `after`: the request is carried out first and only its answer is lost (a 500 or 503 that took effect).
    """

    code: str
    times: int = 1
    method: str | None = None
    path_prefix: str = ""
    retry_after: int | None = None
    after: bool = False

    def matches(self, method: str, path: str) -> bool:
        return self.method in (None, method) and path.startswith(self.path_prefix)


class FaultyAnswer(Refused):
    """An answer that was ordered: `retry_after` seconds or None."""

    def __init__(self, code: str, retry_after: int | None) -> None:
        super().__init__(code)
        self.retry_after = retry_after


@dataclass(slots=True)
class Faults:
    """The faults that are waiting to happen to one account."""

    waiting: list[RequestFault] = field(default_factory=list)

    def add(self, fault: RequestFault) -> None:
        self.waiting.append(fault)

    def clear(self) -> None:
        self.waiting.clear()

    def strike(self, method: str, path: str, *, after: bool) -> None:
        """Raises FaultyAnswer if a fault waits for this request."""
        for fault in self.waiting:
            if fault.after is after and fault.matches(method, path):
                fault.times -= 1
                if fault.times <= 0:
                    self.waiting.remove(fault)
                raise FaultyAnswer(fault.code, fault.retry_after)
