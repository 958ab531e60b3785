"""Batch's error codes on the wire: HTTP status, message, body.

https://learn.microsoft.com/rest/api/batchservice/batch-status-and-error-codes
"""

from typing import Any, Final

from localcloud.batch.core.errors import Refused
from localcloud.batch.wire.instants import time_text

_BAD: Final = 400
_CONFLICT: Final = 409
_MISSING: Final = 404

ERRORS: Final[dict[str, tuple[int, str]]] = {
    "MissingRequiredProperty": (_BAD, "A required property was not specified in the request body."),
    "InvalidPropertyValue": (_BAD, "The value provided for one of the properties in the request body is invalid."),
    "UnsupportedProperty": (_BAD, "One of the properties specified in the request body is not supported."),
    "InvalidRequestBody": (_BAD, "The specified Request Body is not syntactically valid."),
    "InvalidHeaderValue": (_BAD, "The value provided for one of the HTTP headers was not in the correct format."),
    "MissingRequiredQueryParameter": (_BAD, "A required query parameter was not specified for this request."),
    "InvalidQueryParameterValue": (
        _BAD,
        "Value for one of the query parameters specified in the request URI is invalid",
    ),
    "OutOfRangeQueryParameterValue": (
        _BAD,
        "A query parameter specified in the request URI is outside the permissible range.",
    ),
    "InvalidUri": (_BAD, "The requested URI does not represent any resource on the server."),
    "InvalidAuthenticationInfo": (
        _BAD,
        (
            "The authentication information was not provided in the correct format. "
            "Verify the value of Authorization header."
        ),
    ),
    "UnsupportedRequestVersion": (_BAD, "The specified request version is not supported."),
    "AutoScalingFormulaSyntaxError": (_BAD, "The specified auto-scaling formula has a syntax error."),
    "AutoScalingFormulaTooLong": (_BAD, "The specified auto-scaling formula exceeds lengths limit."),
    "InvalidAutoScalingSettings": (_BAD, "The specified auto-scaling settings are not valid."),
    "TaskDependenciesNotSpecifiedOnJob": (
        _BAD,
        (
            "A task was specified as depending on other tasks, but the job did not specify that it would use task "
            "dependencies."
        ),
    ),
    "TaskDependencyListTooLong": (_BAD, "The list of task dependencies is too long."),
    "RequestNotSupported": (_BAD, "This request is not supported by the local Batch service."),
    "AuthenticationFailed": (
        403,
        (
            "Server failed to authenticate the request. Make sure the value of Authorization header is formed "
            "correctly including the signature."
        ),
    ),
    "IOError": (403, "An I/O error occurred when accessing the specified resource."),
    "ResourceNotFound": (_MISSING, "The specified resource does not exist."),
    "PoolNotFound": (_MISSING, "The specified pool does not exist."),
    "NodeNotFound": (_MISSING, "The specified node does not exist."),
    "JobNotFound": (_MISSING, "The specified job does not exist."),
    "JobScheduleNotFound": (_MISSING, "The specified job schedule does not exist."),
    "TaskNotFound": (_MISSING, "The specified task does not exist."),
    "FileNotFound": (_MISSING, "The specified file does not exist."),
    "NodeUserNotFound": (_MISSING, "The specified node user does not exist."),
    "ApplicationNotFound": (_MISSING, "The specified application does not exist."),
    "VMExtensionNotFound": (_MISSING, "The specified VM extension does not exist."),
    "UnsupportedHttpVerb": (405, "The resource doesn't support specified HTTP verb."),
    "PoolExists": (_CONFLICT, "The specified pool already exists."),
    "PoolBeingDeleted": (_CONFLICT, "The specified pool has been marked for deletion and is being reclaimed."),
    "PoolBeingResized": (_CONFLICT, "The specified pool is being resized."),
    "PoolQuotaReached": (_CONFLICT, "Pool quota for the account has been reached."),
    "NodeBeingCreated": (_CONFLICT, "The specified node is being created."),
    "NodeBeingStarted": (_CONFLICT, "The specified node is being started."),
    "NodeBeingRebooted": (_CONFLICT, "The specified node is being rebooted."),
    "NodeBeingReimaged": (_CONFLICT, "The specified node is being reimaged."),
    "NodeUserExists": (_CONFLICT, "The specified node user already exists."),
    "NodeNotReady": (_CONFLICT, "The specified node is not ready."),
    "NodeStateUnusable": (_CONFLICT, "The specified node is in an unusable state."),
    "NodeAlreadyInTargetSchedulingState": (
        _CONFLICT,
        "The specified node is already in the target scheduling state.",
    ),
    "OperationInvalidForCurrentState": (
        _CONFLICT,
        "The specified operation is not valid for the current state of the resource.",
    ),
    "OperationNotValidOnNode": (_CONFLICT, "The specified operation is not valid on the node."),
    "JobExists": (_CONFLICT, "The specified job already exists."),
    "JobScheduleExists": (_CONFLICT, "The specified job schedule already exists."),
    "JobWithSameIdExists": (
        _CONFLICT,
        "A job with the specified job schedule id exists. Job and job schedule cannot have the same id.",
    ),
    "JobScheduleWithSameIdExists": (
        _CONFLICT,
        "A job schedule with the specified job id exists. Job and job schedule cannot have the same id.",
    ),
    "JobBeingTerminated": (_CONFLICT, "The specified job is being terminated."),
    "JobBeingDeleted": (
        _CONFLICT,
        "The specified job has been marked for deletion and is being garbage collected.",
    ),
    "JobCompleted": (_CONFLICT, "The specified job is already in a completed state."),
    "JobScheduleCompleted": (_CONFLICT, "The specified job schedule is already in completed state."),
    "JobScheduleDisabled": (_CONFLICT, "The specified job schedule is disabled."),
    "JobScheduleBeingTerminated": (_CONFLICT, "The specified job schedule is being terminated."),
    "JobScheduleBeingDeleted": (
        _CONFLICT,
        "The specified job schedule has been marked for deletion and is being reclaimed.",
    ),
    "JobPreparationTaskNotSpecified": (_CONFLICT, "The specified job does not have job preparation task."),
    "ActiveJobAndScheduleQuotaReached": (
        _CONFLICT,
        "Active job and schedule quota for the account has been reached.",
    ),
    "TaskExists": (_CONFLICT, "The specified task already exists."),
    "TaskCompleted": (_CONFLICT, "The specified task is already in a completed state."),
    "TaskNotCompleted": (
        _CONFLICT,
        (
            "The specified task is not in a completed state, and the requested operation can be performed only on "
            "completed tasks."
        ),
    ),
    "TaskSucceeded": (
        _CONFLICT,
        (
            "The specified task has already completed successfully, and the requested operation cannot be performed on "
            "successful tasks."
        ),
    ),
    "TaskFilesUnavailable": (_CONFLICT, "The files of the specified task are unavailable."),
    "TaskFilesCleanedup": (_CONFLICT, "The files of the specified task are cleaned up."),
    "TaskIdSameAsJobPreparationTask": (
        _CONFLICT,
        "The specified task id is same as the job preparation task.",
    ),
    "TaskIdSameAsJobReleaseTask": (_CONFLICT, "The specified task id is same as the job release task."),
    "ConditionNotMet": (412, "The condition specified in the conditional header(s) was not met for a write operation."),
    "RequestBodyTooLarge": (413, "The size of the request body exceeds the maximum size permitted."),
    "InvalidRange": (416, "The range specified is invalid for the current size of the resource."),
    "TooManyRequests": (429, "Too many requests have been made, please retry later."),
    "InternalError": (500, "Server encountered an internal error. Please try again after some time."),
    "OperationTimedOut": (500, "The operation could not be completed within the permitted time."),
    "ServerBusy": (503, "The server is busy. Please try again."),
    "TooManyEnableAutoScaleRequests": (
        503,
        "Too many Enable Pool AutoScale requests are issued on the pool.",
    ),
}


def status_of(code: str) -> int:
    return ERRORS[code][0]


def error_body(refused: Refused, *, base: str, request_id: str, now: float) -> dict[str, Any]:
    """The body of an error response, as Batch writes it."""
    text = refused.message or ERRORS[refused.code][1]
    body: dict[str, Any] = {
        "odata.metadata": f"{base}/$metadata#Microsoft.Azure.Batch.Protocol.Entities.Container.errors/@Element",
        "code": refused.code,
        "message": {"lang": "en-US", "value": f"{text}\nRequestId:{request_id}\nTime:{time_text(now)}"},
    }
    if refused.values:
        body["values"] = [{"key": key, "value": value} for key, value in refused.values]
    return body
