"""The autoscale formula language of Azure Batch: `compile_formula(text).evaluate(now=…, samples=…,
current=…)`.

A pure package: no I/O, no wall clock, no thread. Text becomes a tree (`syntax`), the tree becomes closures
(`compiler`), the closures run against a `SampleStore` and the pool's current values (`formula`).

Mirrors https://learn.microsoft.com/azure/batch/batch-automatic-scaling. Where that page is silent the choice
made
here is said in the module that makes it.
"""

from localcloud.batch.autoscale.errors import (
    EVALUATION_ERROR,
    INSUFFICIENT_SAMPLE_DATA,
    EvaluationError,
    FormulaError,
)
from localcloud.batch.autoscale.formula import Evaluation, Formula, compile_formula, failed_evaluation
from localcloud.batch.autoscale.samples import SampleStore
from localcloud.batch.autoscale.variables import DEALLOCATION_OPTIONS, METRICS

__all__ = [
    "DEALLOCATION_OPTIONS",
    "EVALUATION_ERROR",
    "INSUFFICIENT_SAMPLE_DATA",
    "METRICS",
    "Evaluation",
    "EvaluationError",
    "Formula",
    "FormulaError",
    "SampleStore",
    "compile_formula",
    "failed_evaluation",
]
