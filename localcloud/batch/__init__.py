"""A local service that speaks Azure Batch's REST API."""
