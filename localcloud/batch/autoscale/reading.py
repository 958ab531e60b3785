"""Service-defined variables read as values: targets, and metrics that are used as numbers."""

from localcloud.batch.autoscale.errors import INSUFFICIENT_SAMPLE_DATA, FormulaError
from localcloud.batch.autoscale.frame import Code, Frame
from localcloud.batch.autoscale.syntax import Name
from localcloud.batch.autoscale.values import Value
from localcloud.batch.autoscale.variables import ALIASES, FULL_NAMES, METRIC_ALIASES


def read_target(name: str) -> Code:
    """Reading a target: what the formula set, by either name, else the pool's present target."""
    full = ALIASES.get(name, name)
    alias = FULL_NAMES[full]
    order = (full, alias) if name == full else (alias, full)

    def run(frame: Frame) -> Value:
        for either in order:
            if either in frame.variables:
                return frame.variables[either]
        return float(frame.current.get(full, 0))

    return run


def read_metric(node: Name) -> Code:
    """A metric without a method: the current value where the pool gives one, else the latest published
    sample."""
    name = METRIC_ALIASES.get(node.name, node.name)

    def run(frame: Frame) -> Value:
        value = frame.current.get(name)
        if value is not None:
            return float(value)
        latest = frame.samples.latest(name, frame.now.seconds, 1)
        if latest:
            return latest[0]
        raise FormulaError(
            f"Insufficient data from data set: {name} has no sample",
            line=node.line,
            column=node.column,
            code=INSUFFICIENT_SAMPLE_DATA,
        )

    return run
