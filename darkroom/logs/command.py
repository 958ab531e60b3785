"""`darkroom logs MANIFEST|TASK`: what its task printed."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from darkroom.connection import Connection, connected
from darkroom.failure import CommandError
from darkroom.logs.finding import FILES, find_task, read_file
from darkroom.output import JsonOption, Output, ProfileOption, safe
from darkroom.state_word import state_word

app = typer.Typer()


@app.command()
def logs(
    wanted: Annotated[str, typer.Argument(metavar="MANIFEST", help="A manifest's id, which is its task's too.")],
    *,
    last: Annotated[int, typer.Option("--last", min=1, help="Kilobytes from the end of each file.")] = 64,
    profile: ProfileOption = "",
    as_json: JsonOption = False,
) -> None:
    """What a manifest's task printed (stdout.txt, stderr.txt), while it runs and after, with how it ended."""
    out = Output(as_json=as_json)

    async def work(connection: Connection) -> dict[str, Any]:
        at = await find_task(connection, wanted)
        info = at.task.execution_info
        failure = info.failure_info if info else None
        files: dict[str, str] = {}
        missing: list[str] = []
        for name in FILES:
            try:
                text, cut = await read_file(connection, at, name, last=last * 1024)
            except CommandError as error:
                missing.append(str(error))
                continue
            files[name] = text if not cut else f"[…]\n{text.split(chr(10), 1)[-1]}"
        return {
            "job": at.job,
            "task": at.task.id,
            "state": state_word(at.task.state),
            "node": at.task.node_info.node_id if at.task.node_info else "",
            "exit_code": info.exit_code if info else None,
            "retries": info.retry_count if info else 0,
            "requeued": info.requeue_count if info else 0,
            "failure": f"{failure.code}: {failure.message}" if failure else "",
            "files": files,
            "missing": missing,
        }

    told = connected(profile, work)
    if as_json:
        out.document(told)
        return
    out.say(
        f"job [bold]{safe(told['job'])}[/] task [bold]{safe(told['task'])}[/] {told['state']}"
        f"{' on ' + safe(told['node']) if told['node'] else ''}, exit code {told['exit_code']}, "
        f"run again {told['retries']} times, requeued {told['requeued']} times"
    )
    if told["failure"]:
        out.say(f"[red]{safe(told['failure'])}[/]")
    for remark in told["missing"]:
        out.remark(safe(remark))
    for name, text in told["files"].items():
        if text:
            out.say(f"\n[bold]{name}[/]")
            for line in text.splitlines():
                out.say(safe(line))
