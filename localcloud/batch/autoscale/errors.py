"""What can be wrong with a formula, in the words that Batch uses for it."""

from dataclasses import dataclass

EVALUATION_ERROR = "AutoScalingFormulaEvaluationError"
INSUFFICIENT_SAMPLE_DATA = "InsufficientSampleData"

# The second text was seen on Azure (Batch pool autoscale event); the first is ours, Batch's own is not
# published.
_MESSAGES = {
    EVALUATION_ERROR: "Autoscale evaluation failed due to an error in the formula",
    INSUFFICIENT_SAMPLE_DATA: "Autoscale evaluation failed due to insufficient sample data",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationError:
    """`AutoScaleRun.error`: a code, its general message, and the detail that Batch puts in
    `values[Message]`."""

    code: str
    message: str
    detail: str


class FormulaError(Exception):
    """The formula is wrong at a place: `line` and `column` count from 1, `message` says what and what is
    allowed.

    Raised by `compile_formula`; an evaluation returns it as `Evaluation.error` instead. `code` is Batch's
    error code.
    """

    def __init__(self, message: str, *, line: int, column: int, code: str = EVALUATION_ERROR) -> None:
        super().__init__(f"Line {line}, Col {column}: {message}")
        self.message = message
        self.line = line
        self.column = column
        self.code = code

    def as_evaluation_error(self) -> EvaluationError:
        """The same fault as Batch reports it in `autoScaleRun.error`."""
        return EvaluationError(code=self.code, message=_MESSAGES[self.code], detail=str(self))
