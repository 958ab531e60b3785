// The page's life: sign in with a key, ask the app every few seconds, show, act. One request at a time for each kind.
import { AppSaid, KeyNeeded, forgetKey, getJson, keepKey, postJson, takeKey } from "./client.js";
import { drawSeries } from "./charts.js";
import { element, fill, lines } from "./element.js";
import { showManifests, showNow, showQuarantine, showRecent, showStages } from "./lists.js";

const at = (id) => document.getElementById(id);
const NOW_MS = 5000;
const SERIES_MS = 15000;
const QUARANTINE_MS = 20000;
const MOST_PAGES = 10; // of the quarantine: beyond that the command line is the better tool

const chosen = new Set();
let quarantine = { shown: [], next: "" };
let pages = 1; // of the quarantine that are shown
let answered = "";
let series = null;
let paused = false;
let timers = [];

function say(text) { at("said").textContent = text; }

function link(state, text) {
  at("link").dataset.state = state;
  if (at("link").textContent !== text) at("link").textContent = text;
}

function signIn(text) {
  stop();
  forgetKey();
  at("content").hidden = true;
  at("sign-in").hidden = false;
  link("waiting", "no key");
  if (text) say(text);
  at("key").focus();
}

async function guarded(work) {
  try {
    await work();
    answered = new Date().toLocaleTimeString();
    link("live", paused ? "paused" : "live");
  } catch (error) {
    if (error instanceof KeyNeeded) { signIn(error.message); return; }
    const since = answered ? ` (figures of ${answered})` : "";
    link("lost", (error instanceof AppSaid ? error.message : "no answer from the app") + since);
  }
}

const refreshNow = () => guarded(async () => {
  const told = await getJson("/api/dashboard/data");
  at("content").hidden = false;
  showNow(told);
  showManifests(told, openLog);
  showRecent(told);
  showStages(told);
});

const refreshSeries = () => guarded(async () => {
  series = await getJson(`/api/dashboard/series?minutes=${encodeURIComponent(at("span").value)}`);
  drawSeries(series);
});

const refreshQuarantine = () => guarded(async () => {
  let told = await getJson("/api/dashboard/quarantine");
  for (let page = 1; page < pages && told.next; page += 1) told = await nextPage(told);
  quarantine = told;
  drawQuarantine();
});

async function nextPage(told) {
  const next = await getJson(`/api/dashboard/quarantine?after=${encodeURIComponent(told.next)}`);
  return { shown: [...told.shown, ...next.shown], next: next.next };
}

function drawQuarantine() {
  showQuarantine(quarantine, pages < MOST_PAGES, chosen, { replay, openLog, changed: drawChoice });
  drawChoice();
}

function drawChoice() {
  const names = new Set(quarantine.shown.map((one) => one.name));
  for (const name of chosen) if (!names.has(name)) chosen.delete(name);
  at("replay-chosen").disabled = chosen.size === 0;
  at("replay-chosen").textContent = chosen.size ? `Replay ${chosen.size} chosen` : "Replay chosen";
  at("choose-all").checked = chosen.size > 0 && chosen.size === names.size;
}

async function more() {
  await guarded(async () => {
    quarantine = await nextPage(quarantine);
    pages += 1;
    drawQuarantine();
  });
}

async function replay(names) {
  try {
    const told = await postJson("/api/dashboard/replay", { names });
    say(`${told.replayed} of ${names.length} on the way again.`);
    for (const name of names) chosen.delete(name);
    await Promise.all([refreshQuarantine(), refreshNow()]);
  } catch (error) {
    if (error instanceof KeyNeeded) signIn(error.message); else say(`Replay failed: ${error.message}`);
  }
}

async function openLog(manifest) {
  at("log-title").textContent = `Log of ${manifest}`;
  fill(at("log-text"), [element("p", {}, "…")]);
  at("log").showModal();
  try {
    const told = await getJson(`/api/dashboard/log?manifest=${encodeURIComponent(manifest)}`);
    fill(at("log-text"), told.files.flatMap((file) => [
      element("h3", {}, file.name + (file.cut ? " (its end)" : "")), lines(file.text || "(empty)")]));
  } catch (error) {
    if (error instanceof KeyNeeded) { at("log").close(); signIn(error.message); }
    else fill(at("log-text"), [element("p", {}, error.message)]);
  }
}

// The next question is asked when the last answer is here, and not while nobody looks.
function every(pause, work) {
  const timer = { stopped: false, id: 0 };
  const turn = async () => {
    if (timer.stopped) return;
    if (!paused && !document.hidden) await work();
    if (!timer.stopped) timer.id = setTimeout(turn, pause);
  };
  turn();
  return timer;
}

function stop() {
  for (const timer of timers) { timer.stopped = true; clearTimeout(timer.id); }
  timers = [];
}

function start() {
  stop();
  at("sign-in").hidden = true;
  timers = [
    every(NOW_MS, async () => { await refreshNow(); if (series === null) await refreshSeries(); }),
    every(SERIES_MS, async () => { if (!at("content").hidden) await refreshSeries(); }),
    every(QUARANTINE_MS, refreshQuarantine),
  ];
}

function isDark() {
  const set = document.documentElement.dataset.theme;
  return set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function drawTheme() {
  at("theme").textContent = isDark() ? "Light" : "Dark";
  at("theme").setAttribute("aria-label", isDark() ? "Light colours" : "Dark colours");
  if (series && !at("content").hidden) drawSeries(series);
}

at("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  keepKey(at("key").value);
  at("key").value = "";
  say("");
  start();
});
at("pause").addEventListener("click", () => {
  paused = !paused;
  at("pause").setAttribute("aria-pressed", String(paused));
  link("live", paused ? "paused" : "live");
});
at("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  localStorage.setItem("darkroom-theme", document.documentElement.dataset.theme);
  drawTheme();
});
at("span").addEventListener("change", refreshSeries);
at("quarantine-more").addEventListener("click", more);
at("replay-chosen").addEventListener("click", () => replay([...chosen]));
at("choose-all").addEventListener("change", () => {
  if (at("choose-all").checked) for (const one of quarantine.shown) chosen.add(one.name); else chosen.clear();
  for (const box of at("quarantine-rows").querySelectorAll('input[type="checkbox"]')) box.checked = at("choose-all").checked;
  drawChoice();
});
at("log-close").addEventListener("click", () => at("log").close());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawTheme);
window.addEventListener("resize", () => { if (series && !at("content").hidden) drawSeries(series); });

const theme = localStorage.getItem("darkroom-theme");
if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
drawTheme();
if (takeKey()) start(); else signIn("");
