// The key, and calls with it. The key comes by ?code=KEY once, lives in this tab, and goes out only as a header.
const STORE = "darkroom-key";

export class KeyNeeded extends Error {}

// The app answered, and said what is wrong.
export class AppSaid extends Error {}

export function takeKey() {
  const address = new URL(window.location.href);
  const given = address.searchParams.get("code");
  if (given) {
    sessionStorage.setItem(STORE, given);
    // A reload must work without the key in the address: this path serves the same empty page without one.
    window.history.replaceState(null, "", "/api/dashboard/page");
  }
  return sessionStorage.getItem(STORE) || "";
}

export function keepKey(key) {
  sessionStorage.setItem(STORE, key);
}

export function forgetKey() {
  sessionStorage.removeItem(STORE);
}

async function call(path, options = {}) {
  const answer = await fetch(path, {
    ...options,
    headers: { ...(options.headers || {}), "x-functions-key": sessionStorage.getItem(STORE) || "" },
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
    signal: AbortSignal.timeout(30000),
  });
  if (answer.status === 401 || answer.status === 403) throw new KeyNeeded("The app refused the key.");
  return answer;
}

export async function getJson(path) {
  const answer = await call(path);
  if (!answer.ok) throw new AppSaid(await reason(answer));
  return answer.json();
}

export async function postJson(path, body) {
  const answer = await call(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new AppSaid(await reason(answer));
  return answer.json();
}

export async function getPicture(path) {
  const answer = await call(path);
  if (!answer.ok) return null;
  return URL.createObjectURL(await answer.blob());
}

async function reason(answer) {
  try {
    const told = await answer.json();
    if (told && typeof told.error === "string") return told.error;
  } catch { /* no JSON: the status has to do */ }
  return `The app answered ${answer.status}.`;
}
