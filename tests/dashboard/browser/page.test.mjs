// The page in a real browser, against a running local cloud. make browser-test starts both and sets these variables:
//   DASHBOARD_URL, DASHBOARD_KEY  the function app and its key
//   CHROMIUM                      the browser
//   PYTHON, PROFILE               to drop images as an operator does
//   SCREENSHOTS                   a folder for pictures; empty: none are taken
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const { DASHBOARD_URL: URL_, DASHBOARD_KEY: KEY, CHROMIUM, PYTHON, PROFILE, SCREENSHOTS = "" } = process.env;
const HOSTILE = "<img src=x onerror=document.title='owned'>.jpg";
const run = promisify(execFile);
let browser;

const darkroom = (...args) => run(PYTHON, ["-m", "darkroom", ...args, "--profile", PROFILE], { timeout: 120_000 });

before(async () => {
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
});

after(async () => browser?.close());

// A page that collects whatever goes wrong in it.
async function open(options = {}, address = `${URL_}/api/dashboard?code=${encodeURIComponent(KEY)}`) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => { if (["error", "warning"].includes(message.type())) wrong.push(message.text()); });
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("requestfailed", (request) => {
    const why = request.failure()?.errorText;
    if (why !== "net::ERR_ABORTED") wrong.push(`${request.url()} ${why}`); // aborted: the page was left or reloaded
  });
  await page.goto(address);
  return { page, wrong, close: () => context.close() };
}

const shown = (page) => page.locator("#content").waitFor({ state: "visible", timeout: 20_000 });
const tile = (page, name) => page.locator("#tiles div", { hasText: name }).locator("dd");

async function until(what, condition, seconds = 90) {
  const end = Date.now() + seconds * 1000;
  let last;
  while (Date.now() < end) {
    last = await condition();
    if (last) return last;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  assert.fail(`${what} did not come to pass within ${seconds} s`);
}

async function axe(page) {
  // Through the driver, not as a script of the page: the page's policy allows no other scripts, and stays as it is.
  const source = (await import("node:fs")).readFileSync(AXE, "utf8");
  await page.evaluate(source);
  const { violations } = await page.evaluate(() => window.axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  }));
  return violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(" ")).join(", ")}`);
}

const picture = async (page, name) => {
  if (SCREENSHOTS) await page.screenshot({ path: path.join(SCREENSHOTS, name), fullPage: true });
};

test("without a key the page is refused, and says nothing", async () => {
  const answer = await fetch(`${URL_}/api/dashboard`);
  assert.equal(answer.status, 401);
  for (const route of ["data", "series", "quarantine", "png?name=a.png", "log?manifest=x"]) {
    assert.equal((await fetch(`${URL_}/api/dashboard/${route}`)).status, 401, route);
  }
  const post = await fetch(`${URL_}/api/dashboard/replay`, { method: "POST", body: '{"names":["a.jpg"]}' });
  assert.equal(post.status, 401);
});

test("an action needs POST", async () => {
  const answer = await fetch(`${URL_}/api/dashboard/replay`, { headers: { "x-functions-key": KEY } });
  assert.equal(answer.status, 404);
});

test("the key leaves the address, stays in the tab, and a reload works", async () => {
  const { page, wrong, close } = await open();
  await shown(page);
  assert.ok(!page.url().includes(KEY));
  assert.ok(!page.url().includes("code="));
  await page.reload();
  await shown(page);
  assert.deepEqual(wrong, []);
  await close();
});

test("a page without a key asks for one, and refuses a wrong one", async () => {
  const { page, close } = await open({}, `${URL_}/api/dashboard/page`);
  await page.getByLabel("Function key").fill("wrong");
  await page.getByRole("button", { name: "Open" }).click();
  await page.getByText("The app refused the key.").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "key");
  assert.deepEqual(await axe(page), []);
  await page.getByLabel("Function key").fill(KEY);
  await page.keyboard.press("Enter");
  await shown(page);
  await close();
});

test("it updates by itself while images become PNGs, and shows them", async () => {
  const { page, wrong, close } = await open();
  await shown(page);
  const before_ = Number((await tile(page, "PNGs made").innerText()).split("\n")[0].replaceAll(",", ""));
  const images = SCREENSHOTS ? 400 : 12; // the picture is of work in full swing
  await darkroom("make-images", String(images), "--prefix", `live-${Date.now()}/`);
  await until("a manifest in flight, or PNGs", async () =>
    (await page.locator("#manifest-rows tr").count()) > 0
    || Number((await tile(page, "PNGs made").innerText()).split("\n")[0].replaceAll(",", "")) > before_);
  if (SCREENSHOTS) {
    await page.getByLabel("Span").selectOption({ index: 0 });
    await until("progress, and pictures", async () => (await page.locator("#manifest-rows progress").count()) > 0
      && (await page.locator("#recent img").count()) >= 6);
    await picture(page, "dashboard-working.png");
  }
  await until(`${images} more PNGs`, async () =>
    Number((await tile(page, "PNGs made").innerText()).split("\n")[0].replaceAll(",", "")) >= before_ + images);
  await until("pictures of them", async () => (await page.locator("#recent img").count()) >= 6);
  const natural = await page.locator("#recent img").first().evaluate((image) => image.naturalWidth);
  assert.equal(natural, 800);
  await until("figures over time", async () => (await page.locator("#chart-flow canvas").count()) === 1
    && (await page.locator("#series-rows tr").count()) > 0);
  assert.deepEqual(wrong, []);
  await close();
});

test("the log of a manifest that is done can be read", async () => {
  const { page, wrong, close } = await open();
  await shown(page);
  await page.locator("#closed-list button").first().press("Enter");
  await page.getByText(/converted=\d+/).waitFor();
  assert.deepEqual(await axe(page), []);
  await page.getByRole("button", { name: "Close" }).press("Enter");
  assert.equal(await page.locator("#log").isVisible(), false);
  assert.deepEqual(wrong, []);
  await close();
});

test("a long quarantine can be paged through, and stays open when it is asked for again", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "darkroom-"));
  for (let number = 0; number < 120; number += 1) {
    await writeFile(path.join(folder, `${String(number).padStart(3, "0")}-${"long".repeat(40)}.jpg`), "this is no JPEG");
  }
  await darkroom("drop", folder, "--prefix", "test-images/bad/");
  const { page, wrong, close } = await open();
  await shown(page);
  const rows = page.locator("#quarantine-rows tr");
  const count = async () => Number((await tile(page, "Quarantine").innerText()).split("\n")[0]);
  await until("all of them in quarantine", async () => (await count()) >= 120);
  await page.reload();
  await shown(page);
  for (const wanted of [100, 120]) {
    await page.getByRole("button", { name: "Show more" }).press("Enter");
    await until(`${wanted} rows`, async () => (await rows.count()) >= wanted);
  }
  await page.waitForResponse((answer) => answer.url().includes("quarantine?after="), { timeout: 40_000 });
  assert.ok((await rows.count()) >= 120);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(wide <= 0, `the page is ${wide} pixels wider than the screen`);
  assert.deepEqual(await axe(page), []);
  assert.deepEqual(wrong, []);
  await darkroom("clean", "test-images", "--prefix", "bad/", "--yes");
  await darkroom("quarantine", "drop", "--prefix", "test-images/bad/", "--yes");
  await close();
});

test("a hostile name is text, in quarantine, and replay works from the page", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "darkroom-"));
  await writeFile(path.join(folder, HOSTILE), "this is no JPEG");
  await darkroom("drop", folder);
  const { page, wrong, close } = await open();
  await shown(page);
  const row = page.locator("#quarantine-rows tr", { hasText: HOSTILE });
  await until("the bad image in quarantine", async () => {
    if (await row.count()) return true;
    await page.reload();
    await shown(page);
    await page.locator("#quarantine-rows tr").first().waitFor({ timeout: 3000 }).catch(() => null);
    return (await row.count()) > 0;
  });
  assert.equal(await row.locator("td.name").innerText(), HOSTILE);
  assert.equal(await page.locator("#quarantine-rows img").count(), 0);
  assert.equal(await page.title(), "Darkroom");
  await picture(page, "dashboard-light.png");
  await row.getByRole("button", { name: `Replay ${HOSTILE}` }).focus();
  await page.keyboard.press("Enter");
  await page.getByText("1 of 1 on the way again.").waitFor();
  await row.getByRole("checkbox").check();
  await page.getByRole("button", { name: "Replay 1 chosen" }).click();
  await page.getByText("1 of 1 on the way again.").waitFor();
  assert.deepEqual(wrong, []);
  await close();
});

for (const [name, options] of [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["phone", { colorScheme: "dark", viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }],
]) {
  test(`contrast, labels and structure hold: ${name}`, async () => {
    const { page, wrong, close } = await open(options);
    await shown(page);
    await page.locator("#chart-flow canvas").waitFor();
    await page.getByText("The same as a table").click();
    await page.getByText("Autoscale formula").click();
    assert.match(await page.locator("#formula pre").innerText(), /\n\$TargetLowPriorityNodes = /);
    assert.deepEqual(await axe(page), []);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(wide <= 0, `the page is ${wide} pixels wider than the screen`);
    if (name !== "light") {
      await page.getByText("The same as a table").click();
      await page.getByText("Autoscale formula").click();
      await picture(page, `dashboard-${name}.png`);
    }
    assert.deepEqual(wrong, []);
    await close();
  });
}

test("the colours can be switched by keyboard, and stay switched", async () => {
  const { page, close } = await open({ colorScheme: "light" });
  await shown(page);
  await page.getByRole("button", { name: "Dark colours" }).press("Enter");
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  await page.reload();
  await shown(page);
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  assert.deepEqual(await axe(page), []);
  await close();
});

test("the policy stops inline script, and text never becomes markup", async () => {
  const { page, close } = await open();
  await shown(page);
  const refused = await page.evaluate(() => {
    try { document.body.innerHTML = "<b>x</b>"; return false; } catch { return true; }
  });
  assert.ok(refused);
  await close();
});

test("when the app does not answer the page says so, and comes back by itself", async () => {
  const { page, close } = await open();
  await shown(page);
  await page.route("**/api/dashboard/**", (route) => route.abort());
  await page.getByText("no answer from the app").waitFor({ timeout: 20_000 });
  await page.unroute("**/api/dashboard/**");
  await page.locator('#link[data-state="live"]').waitFor({ timeout: 20_000 });
  await close();
});
