"""Reads our Bicep templates and works out what they would deploy, so that tests look at resources instead of text.

No Bicep compiler can be had from the package registries that a checkout may use. This is a parser and an evaluator for
the part of the language that `infra/` is written in; whatever else it meets is an error, never skipped. The language:
https://learn.microsoft.com/azure/azure-resource-manager/bicep/file
"""
