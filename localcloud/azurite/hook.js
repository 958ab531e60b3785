// Preloaded into Azurite (`node --require`): appends one JSON line for each blob that was written to a log that
// the event service follows. It must never break Azurite: nothing here may throw, and it touches no request.
//
// Node publishes every request and every finished response on diagnostics channels, so Azurite itself stays as it is.
// A response that nobody heard to its end (the client left, or Azurite was told to stop), or that tells of a fault of
// Azurite's, may be of a blob that was stored: it is noted without an ETag, and the reader asks what the blob is.
// https://nodejs.org/api/diagnostics_channel.html
"use strict";
const { subscribe } = require("node:diagnostics_channel");
const fs = require("node:fs");
const path = require("node:path");

const SEGMENT_BYTES = 4 * 1024 * 1024; // the reader removes a segment once it has read it and a newer one exists
const folder = process.env.LOCALCLOUD_WRITES;

let descriptor = -1;
let written = 0;
let segment = 0;
let complained = false;
let waiting = [];

function openSegment() {
  const started = String(Date.now()).padStart(15, "0");
  const name = `writes-${started}-${String(segment++).padStart(6, "0")}.jsonl`;
  if (descriptor >= 0) fs.closeSync(descriptor);
  descriptor = fs.openSync(path.join(folder, name), "a", 0o600);
  written = 0;
}

// One write a turn of the event loop: some microseconds into the page cache, and kept when Azurite is killed after it.
function flush() {
  if (waiting.length === 0) return;
  const lines = Buffer.from(waiting.join(""), "utf8");
  waiting = [];
  try {
    if (descriptor < 0 || written >= SEGMENT_BYTES) openSegment();
    for (let at = 0; at < lines.length; ) at += fs.writeSync(descriptor, lines, at);
    written += lines.length;
  } catch (error) {
    if (!complained) console.error(`localcloud: write notices are being lost: ${error.message}`);
    complained = true; // the application's sweep finds what a lost notice missed
  }
}

// The blob API that a successful PUT stands for, or "" for one that creates no blob.
// https://learn.microsoft.com/azure/event-grid/event-schema-blob-storage
function api(request, url) {
  const comp = url.searchParams.get("comp");
  if (url.searchParams.has("restype")) return "";
  if (comp === "blocklist") return "PutBlockList";
  if (comp !== null) return "";
  return request.headers["x-ms-copy-source"] ? "CopyBlob" : "PutBlob";
}

function notice(request, response) {
  if (request.method !== "PUT") return;
  const written = response.headersSent && response.statusCode >= 200 && response.statusCode <= 299;
  if (response.headersSent && !written && response.statusCode < 500) return;
  const url = new URL(request.originalUrl || request.url, "http://localhost");
  const name = api(request, url);
  if (name === "") return;
  const headers = request.headers;
  if (waiting.length === 0) setImmediate(flush);
  waiting.push(
    JSON.stringify({
      time: Date.now(),
      api: name,
      path: url.pathname,
      etag: written ? String(response.getHeader("etag") || "") : "",
      blobType: String(headers["x-ms-blob-type"] || ""),
      contentLength: Number(headers["content-length"] ?? -1),
      contentType: String(headers["x-ms-blob-content-type"] || headers["content-type"] || ""),
      requestId: String(response.getHeader("x-ms-request-id") || ""),
      clientRequestId: String(headers["x-ms-client-request-id"] || ""),
    }) + "\n",
  );
}

function tryNotice(request, response) {
  try {
    notice(request, response);
  } catch (error) {
    if (!complained) console.error(`localcloud: a write could not be noticed: ${error.message}`);
    complained = true;
  }
}

if (folder) {
  const heard = new WeakSet(); // writableFinished will not do: it can be true of a response whose socket was destroyed
  subscribe("http.server.response.finish", ({ request, response }) => {
    heard.add(response);
    tryNotice(request, response);
  });
  subscribe("http.server.request.start", ({ request, response }) => {
    response.once("close", () => heard.has(response) || tryNotice(request, response));
  });
  process.on("exit", flush);
  // Azurite listens for SIGTERM once, so a second one would end it before it has saved its database, and with a dead
  // parent two come: the kernel's and the one below. From the second on, this listener alone is left, and does nothing.
  let closing = false;
  process.on("SIGTERM", () => {
    if (!closing && process.listenerCount("SIGTERM") === 1) process.exit(0); // Azurite does not listen yet
    closing = true;
  });
  // The parent holds the other end of stdin: its end means that the parent is gone, so stop in good order.
  const stop = () => process.kill(process.pid, "SIGTERM");
  process.stdin.once("end", stop).once("error", stop).resume();
  if (typeof process.stdin.unref === "function") process.stdin.unref();
}
