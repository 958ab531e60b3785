"""A Functions host on one machine: runs the app in the Python v2 model through what its FunctionApp lists.

Written from https://learn.microsoft.com/azure/azure-functions: functions-reference-python,
functions-bindings-timer, -http-webhook-trigger, -event-grid-trigger, functions-manually-run-non-http,
functions-host-json. It runs behind the same addresses, keys and rules; a process of its own, as on Azure.
"""
