"""Event Grid on one machine: blob events and custom topics, delivered to webhooks with Event Grid's rules.

Written from https://learn.microsoft.com/azure/event-grid: delivery-and-retry, event-schema-blob-storage,
event-filtering, end-point-validation-event-grid-events-schema, manage-event-delivery, post-to-custom-topic.
"""
