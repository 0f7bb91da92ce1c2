// What the page and the documentation share: elements, numbers, and requests with the key of this tab.
const KEY = "dlrm.key";
const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/** An element with attributes and children; texts become text nodes, never markup. */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for pictures. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

/** A number for people: `digits` significant ones, and a minus sign of the width of the plus. */
export function number(value, digits = 4) {
  if (value == null || !Number.isFinite(value)) return "–";
  const options = Math.abs(value) >= 10 ** digits
    ? { maximumFractionDigits: 0 }
    : { minimumSignificantDigits: Number.isInteger(value) ? 1 : digits, maximumSignificantDigits: digits };
  return value.toLocaleString("en", options).replace("-", "−");
}

/** A prediction for people: a probability as per cent, a rating as it is. */
export function prediction(value, task) {
  return task === "binary" ? `${number(100 * value)} %` : number(value);
}

/** What a server answers in the place of what was asked for. */
export class Refusal extends Error {
  constructor(status, { error, code, hint } = {}) {
    super(error ?? `the server answered with status ${status}`);
    Object.assign(this, { status, code, hint });
  }

  /** The whole as one sentence. */
  toString() {
    const sentence = this.message.charAt(0).toUpperCase() + this.message.slice(1);
    return this.hint ? `${sentence} (${this.hint})` : sentence;
  }
}

/** Whether requests of this tab carry a key. */
export function hasKey() {
  return storedKey() !== null;
}

let keyOfPage = null; // Where storage is switched off, a key lasts as long as the page.

function storedKey() {
  try {
    return sessionStorage.getItem(KEY) ?? keyOfPage;
  } catch {
    return keyOfPage;
  }
}

function storeKey(key) {
  keyOfPage = key;
  try {
    sessionStorage.setItem(KEY, key);
  } catch {
    // As above.
  }
}

/** Asks the server, with a key if there is one; asks the reader for a key where the server wants one. */
export async function ask(path, options = {}) {
  for (;;) {
    const key = storedKey();
    const headers = { ...options.headers, ...(key === null ? {} : { Authorization: `Bearer ${key}` }) };
    let response;
    try {
      response = await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refusal(0, { error: "the server does not answer", hint: "is it still running?" });
    }
    if (response.status !== 401) return response;
    // Another request may have got a key in the meantime.
    if (storedKey() === key) await askForKey(key !== null);
  }
}

/** Asks for JSON; a body makes it a POST. */
export async function askJson(path, body) {
  const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await ask(path, body === undefined ? {} : post);
  const answer = await response.json().catch(() => undefined);
  if (!response.ok) throw new Refusal(response.status, answer);
  if (answer === undefined) throw new Refusal(response.status, { error: `${path}: expected JSON, found none` });
  return answer;
}

let asking = null;

function askForKey(wasWrong) {
  asking ??= keyDialog(wasWrong).finally(() => { asking = null; });
  return asking;
}

function keyDialog(wasWrong) {
  const input = el("input", {
    id: "key", type: "password", autocomplete: "off", required: true, spellcheck: "false",
    pattern: "\\s*[!-~]+\\s*", title: "letters, digits and signs of ASCII", "aria-describedby": "key-note",
  });
  const words = wasWrong ? "The server does not know this key." : "The server answers only who has a key.";
  const cancel = el("button", { type: "button" }, "Cancel");
  const form = el("form", { method: "dialog" },
    el("h2", { id: "key-heading" }, "Key"),
    el("p", { id: "key-note" }, `${words} It stays in this tab and goes to this server only.`),
    el("label", { for: "key" }, "API key"), input,
    el("p", { class: "buttons" }, el("button", { class: "main" }, "Use this key"), cancel));
  const dialog = el("dialog", { "aria-labelledby": "key-heading" }, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((done, failed) => {
    let given = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      given = true;
      storeKey(input.value.trim());
      dialog.close();
    });
    cancel.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      const refusal = { error: "the server wants a key", code: "unauthorized", hint: "reload the page to enter one" };
      if (given) done();
      else failed(new Refusal(401, refusal));
    });
  });
}

/** A link that carries no key is of no use where the server wants one: what it leads to is saved as a file then. */
export function keyed(link, name) {
  link.addEventListener("click", async (event) => {
    if (!hasKey()) return;
    event.preventDefault();
    try {
      const response = await ask(link.href);
      if (!response.ok) throw new Refusal(response.status, await response.json().catch(() => undefined));
      const url = URL.createObjectURL(await response.blob());
      el("a", { href: url, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(url), 1000);
    } catch (refusal) {
      byId("problem").replaceChildren(el("p", { class: "error" }, String(refusal)));
    }
  });
}

/** A button that copies the text of an element and says so. */
export function copyButton(source, what) {
  const told = el("span", { class: "told", role: "status" });
  const button = el("button", { type: "button", class: "small", "aria-label": `Copy ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      told.textContent = "Copied";
    } catch {
      // Browsers copy for pages of HTTPS and of this machine only.
      getSelection().selectAllChildren(source);
      told.textContent = "Selected: press Ctrl+C";
    }
    setTimeout(() => { told.textContent = ""; }, 2500);
  });
  return [button, told];
}
