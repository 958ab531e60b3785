"""What closures run in: one evaluation with its inputs and the variables set so far."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from localcloud.batch.autoscale.samples import SampleStore
from localcloud.batch.autoscale.values import Timestamp, Value


class StopEvaluation(Exception):  # noqa: N818 - it ends a run, it is no error
    """`stop()` was reached: what is set so far holds."""


@dataclass(slots=True, kw_only=True)
class Frame:
    """One evaluation: its inputs, and the variables set so far with the place that set them."""

    now: Timestamp
    samples: SampleStore
    current: Mapping[str, float]
    rand: Callable[[], float]
    variables: dict[str, Value] = field(default_factory=dict)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)


Code = Callable[[Frame], Value]
Program = tuple[Callable[[Frame], None], ...]
