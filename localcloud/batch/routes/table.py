"""The operations of Batch's REST API and the functions that answer them."""

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from localcloud.batch.core.errors import Refused
from localcloud.batch.routes import applications, files, jobs, nodes, pools, tasks
from localcloud.batch.routes.call import Call

Handler = Callable[[Call], Awaitable[web.Response]]

# `*` stands for an id, `**` for the rest of the path.
ROUTES: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("GET", "applications", applications.list_all),
    ("GET", "applications/*", applications.get),
    ("GET", "poolusagemetrics", pools.usage_metrics),
    ("GET", "supportedimages", pools.supported_images),
    ("GET", "nodecounts", pools.node_counts),
    ("POST", "pools", pools.create),
    ("GET", "pools", pools.list_all),
    ("GET", "pools/*", pools.get),
    ("HEAD", "pools/*", pools.exists),
    ("PATCH", "pools/*", pools.patch),
    ("DELETE", "pools/*", pools.delete),
    ("POST", "pools/*/enableautoscale", pools.enable_autoscale),
    ("POST", "pools/*/disableautoscale", pools.disable_autoscale),
    ("POST", "pools/*/evaluateautoscale", pools.evaluate_autoscale),
    ("POST", "pools/*/resize", pools.resize),
    ("POST", "pools/*/stopresize", pools.stop_resize),
    ("POST", "pools/*/updateproperties", pools.replace_properties),
    ("POST", "pools/*/removenodes", pools.remove_nodes),
    ("GET", "pools/*/nodes", nodes.list_all),
    ("GET", "pools/*/nodes/*", nodes.get),
    ("POST", "pools/*/nodes/*/reboot", nodes.reboot),
    ("POST", "pools/*/nodes/*/reimage", nodes.reimage),
    ("POST", "pools/*/nodes/*/deallocate", nodes.deallocate),
    ("POST", "pools/*/nodes/*/start", nodes.start),
    ("POST", "pools/*/nodes/*/disablescheduling", nodes.disable_scheduling),
    ("POST", "pools/*/nodes/*/enablescheduling", nodes.enable_scheduling),
    ("GET", "pools/*/nodes/*/remoteloginsettings", nodes.remote_login),
    ("POST", "pools/*/nodes/*/uploadbatchservicelogs", nodes.upload_logs),
    ("POST", "pools/*/nodes/*/users", nodes.create_user),
    ("PUT", "pools/*/nodes/*/users/*", nodes.replace_user),
    ("DELETE", "pools/*/nodes/*/users/*", nodes.delete_user),
    ("GET", "pools/*/nodes/*/extensions", nodes.list_extensions),
    ("GET", "pools/*/nodes/*/extensions/*", nodes.get_extension),
    ("GET", "pools/*/nodes/*/files", files.list_all),
    ("GET", "pools/*/nodes/*/files/**", files.read),
    ("HEAD", "pools/*/nodes/*/files/**", files.properties),
    ("DELETE", "pools/*/nodes/*/files/**", files.delete),
    ("POST", "jobs", jobs.create),
    ("GET", "jobs", jobs.list_all),
    ("GET", "jobs/*", jobs.get),
    ("PATCH", "jobs/*", jobs.patch),
    ("PUT", "jobs/*", jobs.replace),
    ("DELETE", "jobs/*", jobs.delete),
    ("POST", "jobs/*/disable", jobs.disable),
    ("POST", "jobs/*/enable", jobs.enable),
    ("POST", "jobs/*/terminate", jobs.terminate),
    ("GET", "jobs/*/taskcounts", jobs.task_counts),
    ("GET", "jobs/*/jobpreparationandreleasetaskstatus", jobs.preparation_status),
    ("POST", "jobs/*/addtaskcollection", tasks.create_many),
    ("POST", "jobs/*/tasks", tasks.create),
    ("GET", "jobs/*/tasks", tasks.list_all),
    ("GET", "jobs/*/tasks/*", tasks.get),
    ("PUT", "jobs/*/tasks/*", tasks.replace),
    ("DELETE", "jobs/*/tasks/*", tasks.delete),
    ("POST", "jobs/*/tasks/*/terminate", tasks.terminate),
    ("POST", "jobs/*/tasks/*/reactivate", tasks.reactivate),
    ("GET", "jobs/*/tasks/*/subtasksinfo", tasks.subtasks),
    ("GET", "jobs/*/tasks/*/files", files.list_all),
    ("GET", "jobs/*/tasks/*/files/**", files.read),
    ("HEAD", "jobs/*/tasks/*/files/**", files.properties),
    ("DELETE", "jobs/*/tasks/*/files/**", files.delete),
    ("POST", "jobschedules", jobs.create_schedule),
    ("GET", "jobschedules", jobs.list_schedules),
    ("GET", "jobschedules/*", jobs.get_schedule),
    ("HEAD", "jobschedules/*", jobs.schedule_exists),
    ("PATCH", "jobschedules/*", jobs.patch_schedule),
    ("PUT", "jobschedules/*", jobs.replace_schedule),
    ("DELETE", "jobschedules/*", jobs.delete_schedule),
    ("POST", "jobschedules/*/disable", jobs.disable_schedule),
    ("POST", "jobschedules/*/enable", jobs.enable_schedule),
    ("POST", "jobschedules/*/terminate", jobs.terminate_schedule),
    ("GET", "jobschedules/*/jobs", jobs.schedule_jobs),
)


def find_route(method: str, parts: tuple[str, ...]) -> tuple[Handler, tuple[str, ...]]:
    """The function for a request and the parts of its path, with the rest of a file path as one. Raises Refused."""
    other_method = False
    for verb, pattern, handler in ROUTES:
        matched = _match(pattern.split("/"), parts)
        if matched is not None:
            if verb == method:
                return handler, matched
            other_method = True
    raise Refused("UnsupportedHttpVerb" if other_method else "InvalidUri")


def _match(pattern: list[str], parts: tuple[str, ...]) -> tuple[str, ...] | None:
    if pattern[-1] == "**":
        head = pattern[:-1]
        if len(parts) <= len(head):
            return None
        rest = "/".join(parts[len(head) :])
        parts = (*parts[: len(head)], rest)
    if len(parts) != len(pattern):
        return None
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted not in ("*", "**") and wanted != part.lower():
            return None
    return parts
