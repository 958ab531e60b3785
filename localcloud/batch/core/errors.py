"""What Batch refuses: an error code of its own, never an HTTP status (the wire knows those)."""

from collections.abc import Sequence


class Refused(Exception):  # noqa: N818 - the service's word: a request is refused, the program has no error
    """A request that Batch would refuse. Nothing was changed.

    `code` is Batch's error code (`PoolExists`), `values` its details as (key, value) pairs, `message` replaces the
    code's usual text where that says too little.
    """

    def __init__(self, code: str, message: str | None = None, *, values: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.values = tuple(values)


def invalid_property(name: str, value: object, reason: str) -> Refused:
    """`InvalidPropertyValue` with the three details that Batch gives."""
    return Refused(
        "InvalidPropertyValue",
        values=(("PropertyName", name), ("PropertyValue", str(value)), ("Reason", reason)),
    )
