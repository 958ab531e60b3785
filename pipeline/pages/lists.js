// What the page shows, from the app's document. Every text goes through element(), as text.
import { getPicture } from "./client.js";
import { ago, bytes, element, fill, lines, number, rows, span } from "./element.js";

const at = (id) => document.getElementById(id);

function tile(name, value, note, tone) {
  return element("div", { "data-tone": tone }, element("dt", {}, name),
    element("dd", {}, value, note ? element("small", {}, note) : null));
}

function states(counts) {
  const shown = Object.entries(counts).filter(([, count]) => count > 0).map(([state, count]) => `${count} ${state}`);
  return shown.join(", ") || "none";
}

export function showNow(told) {
  const counts = told.counts;
  const nodes = Object.values(counts.nodes).reduce((sum, count) => sum + count, 0);
  const done = told.manifests.reduce((sum, one) => sum + (one.done || 0), 0); // as far as it is known
  const pending = (counts.tasks.active || 0) + (counts.tasks.running || 0);
  fill(at("tiles"), [
    tile("Waiting", number(counts.waiting), counts.oldest_waiting_seconds ? `oldest ${span(counts.oldest_waiting_seconds)}` : ""),
    tile("In manifests", number(counts.open_images), `${number(counts.open_manifests)} open${done ? `, ${number(done)} images done` : ""}`),
    tile("PNGs made", number(counts.converted), `${number(told.rates.converted_per_minute)} a minute now`, "good"),
    tile("Quarantine", number(counts.quarantined), "", counts.quarantined ? "warn" : ""),
    tile("Nodes", number(nodes), states(counts.nodes)),
    tile("Tasks pending", number(pending), states(counts.tasks)),
  ]);
  at("troubles").hidden = told.troubles.length === 0;
  rows(at("trouble-list"), told.troubles, (trouble) => `${trouble.code} ${trouble.what}`, (trouble) =>
    element("li", {}, element("strong", {}, trouble.what), " ", trouble.advice || ""));
}

function logButton(manifest, openLog, of = manifest) {
  return element("button", { type: "button", "data-role": "log", "aria-label": `Log of ${of}`, onclick: () => openLog(manifest) }, "Log");
}

// Only of the first manifests is it known how far they are.
function progress(one) {
  if (one.done === null) return [`${number(one.images)} images`];
  return [element("progress", { max: Math.max(1, one.images), value: one.done, "aria-label": `Images done of ${one.id}` }),
    ` ${number(one.done)} of ${number(one.images)}`];
}

export function showManifests(told, openLog) {
  at("manifests-none").hidden = told.manifests.length > 0;
  at("manifests-some").hidden = told.manifests.length === 0;
  rows(at("manifest-rows"), told.manifests, (one) => one.id, (one) => element("tr", {},
    element("td", { class: "name" }, one.id),
    element("td", {}, one.state),
    element("td", {}, ...progress(one)),
    element("td", {}, ago(one.since)),
    element("td", {}, one.submitted ? logButton(one.id, openLog) : "–")));
  if (told.manifests_left > 0) {
    at("manifest-rows").append(element("tr", { "data-key": "more" }, element("td", { colspan: 5 }, `and ${number(told.manifests_left)} more`)));
  }
  at("closed").hidden = told.closed.length === 0;
  rows(at("closed-list"), told.closed, (id) => id, (id) => element("li", {}, id, " ", logButton(id, openLog)));
}

export function showStages(told) {
  rows(at("stage-rows"), told.stages, (one) => one.stage, (one) => element("tr", {},
    element("td", {}, one.stage),
    element("td", {}, one.finished ? ago(one.finished) : "never"),
    element("td", { class: one.ok ? "ok" : "failed" }, one.ok ? (one.finished ? "fine" : "") : one.error || "failed")));
  fill(at("pool"), Object.entries(told.pool).flatMap(([name, value]) => [
    element("dt", {}, name), element("dd", {}, value === "" || value === null ? "–" : String(value))]));
  const formula = at("formula").querySelector("pre");
  at("formula").hidden = !told.formula;
  if (told.formula && formula?.textContent !== told.formula) {
    formula?.remove();
    at("formula").append(lines(told.formula));
  }
}

const pictures = new Map();

function picture(one) {
  const frame = element("div", { class: "frame" }, one.too_large ? `${bytes(one.bytes)}: too large to show` : "…");
  if (one.too_large) return frame;
  const key = `${one.png} ${one.at}`;
  if (!pictures.has(key)) {
    const query = new URLSearchParams({ name: one.png });
    pictures.set(key, getPicture(`/api/dashboard/png?${query}`).catch(() => null));
  }
  pictures.get(key).then((address) => {
    if (address) frame.replaceWith(element("img", { src: address, alt: "", width: "160", height: "112" }));
    else frame.textContent = "not to be had";
  });
  return frame;
}

export function showRecent(told) {
  at("recent-none").hidden = told.recent.length > 0;
  const wanted = new Set(told.recent.map((one) => `${one.png} ${one.at}`));
  for (const [key, loading] of pictures) {
    if (!wanted.has(key)) {
      pictures.delete(key);
      loading.then((address) => address && URL.revokeObjectURL(address));
    }
  }
  rows(at("recent"), told.recent, (one) => `${one.png} ${one.at}`, (one) => element("li", {},
    element("figure", {}, picture(one), element("figcaption", {}, one.png))));
}

export function showQuarantine(told, room, chosen, { replay, openLog, changed }) {
  at("quarantine-none").hidden = told.shown.length > 0;
  at("quarantine-some").hidden = told.shown.length === 0;
  at("replay-chosen").hidden = told.shown.length === 0;
  at("quarantine-more").hidden = !told.next || !room;
  at("quarantine-rest").hidden = !told.next || room;
  rows(at("quarantine-rows"), told.shown, (one) => one.name, (one) => {
    const box = element("input", { type: "checkbox", "data-role": "choose", "aria-label": `Choose ${one.name}`, checked: chosen.has(one.name) });
    box.addEventListener("change", () => {
      if (box.checked) chosen.add(one.name); else chosen.delete(one.name);
      changed();
    });
    return element("tr", {},
      element("td", {}, box),
      element("td", { class: "name" }, one.name),
      element("td", {}, one.reason),
      element("td", {}, ago(one.when)),
      element("td", {}, one.manifest ? logButton(one.manifest, openLog, one.name) : "–"),
      element("td", {}, element("button", { type: "button", "data-role": "replay", "aria-label": `Replay ${one.name}`, onclick: () => replay([one.name]) }, "Replay")));
  });
}
