"""Autoscale formulas, looked at before they are deployed: lint, evaluate, show."""

from darkroom.formula.lint import Finding, lint

__all__ = ["Finding", "lint"]
