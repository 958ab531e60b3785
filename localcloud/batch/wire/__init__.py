"""Batch's wire: JSON bodies to specs and entities to JSON, OData filters, errors, authentication."""
