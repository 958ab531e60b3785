"""A small app that uses every kind of trigger: what the local cloud's tests run."""

import json
import os

import azure.functions as func
from azure.core.credentials import AzureKeyCredential
from azure.eventgrid import EventGridEvent, EventGridPublisherClient
from azure.storage.blob import BlobClient

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


def _blob(container: str, name: str) -> BlobClient:
    return BlobClient.from_connection_string(os.environ["STORAGE"], container, name)


@app.event_grid_trigger(arg_name="event")
def copy(event: func.EventGridEvent) -> None:
    """Copy the blob of the event; what it was told lies in the copy's metadata."""
    name = event.subject.split("/blobs/", 1)[1]
    if "poison" in name:
        raise ValueError("this one is never copied")
    data = _blob("images", name).download_blob().readall()
    etag = event.get_json()["eTag"]
    with _blob("copies", name) as target:
        target.upload_blob(data, overwrite=True, metadata={"etag": etag})


@app.event_grid_trigger(arg_name="event")
async def hear(event: func.EventGridEvent) -> None:
    """Keep what a custom topic carried."""
    with _blob("copies", f"heard/{event.id}") as target:
        target.upload_blob(json.dumps(event.get_json()), overwrite=True)


@app.timer_trigger(arg_name="timer", schedule="%TICK_SCHEDULE%")
def tick(timer: func.TimerRequest) -> None:
    """Leave a trace each second."""
    with _blob("copies", "tick") as target:
        target.upload_blob(str(timer.past_due), overwrite=True)


@app.route(route="hello/{name:alpha?}", methods=["GET", "POST"])
async def hello(req: func.HttpRequest) -> func.HttpResponse:
    """Answer with what came."""
    body = {"name": req.route_params.get("name"), "q": req.params.get("q"), "body": req.get_body().decode()}
    return func.HttpResponse(json.dumps(body), mimetype="application/json", headers={"X-Sample": "yes"})


@app.route(route="open", auth_level=func.AuthLevel.ANONYMOUS)
def open_door(req: func.HttpRequest) -> str:
    """Anybody may ask."""
    return f"open {os.environ.get('GREETING', '')}".strip()


@app.route(route="broken", auth_level=func.AuthLevel.ANONYMOUS)
async def broken(req: func.HttpRequest) -> func.HttpResponse:
    """Fails with words that must not reach the caller."""
    raise RuntimeError("a secret of the inside")


@app.route(route="publish", auth_level=func.AuthLevel.ADMIN, methods=["POST"])
def publish(req: func.HttpRequest) -> func.HttpResponse:
    """Publish to the custom topic with the official SDK."""
    key = AzureKeyCredential(os.environ["TOPIC_KEY"])
    with EventGridPublisherClient(os.environ["TOPIC_ENDPOINT"], key) as client:
        client.send([EventGridEvent(subject="a/b", event_type="Sample.Note", data={"n": 1}, data_version="1")])
    return func.HttpResponse(status_code=202)
