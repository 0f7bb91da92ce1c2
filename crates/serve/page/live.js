// What the server does now, asked each second while somebody looks, with a line of the last minutes.
import { askJson, byId, el, number, svg } from "./common.js";

const PERIOD = 1000;
const MINUTES = 3;
const SPAN = MINUTES * 60_000;
const WIDTH = 180;
const HEIGHT = 36;

const FIGURES = [
  { key: "requests_per_second", title: "Requests", unit: "/s" },
  { key: "rows_per_second", title: "Rows", unit: "/s" },
  { key: "p50_ms", title: "Median time", unit: " ms" },
  { key: "p99_ms", title: "99th percentile", unit: " ms" },
  { key: "errors_per_second", title: "Errors", unit: "/s" },
  { key: "waiting", title: "Waiting", unit: "" },
];

// A model that was not asked for anything has no figures.
const IDLE = { requests_per_second: 0, rows_per_second: 0, errors_per_second: 0 };

let name = null;
let history = []; // [{ at, figures }], of the model that is shown.
let paused = false;
let timer = null;
let tiles = new Map();

/** Shows the figures of a model from now on. */
export function showLive(model) {
  if (model.name === name) return;
  name = model.name;
  history = [];
  makeTiles();
  look();
}

function makeTiles() {
  tiles = new Map();
  byId("live-figures").replaceChildren(...FIGURES.map(({ key, title }) => {
    const value = el("span", { class: "value" }, "–");
    const line = svg("polyline", { class: "line", "vector-effect": "non-scaling-stroke" });
    const highest = el("small", {}, "");
    tiles.set(key, { value, line, highest });
    const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true",
      class: "spark" }, line);
    return el("div", {}, el("dt", {}, title), el("dd", {}, value, picture, highest));
  }));
}

/** Asks now, and again in a second, while the tab is seen. */
async function look() {
  clearTimeout(timer);
  if (name === null || paused || document.hidden) return;
  const asked = name;
  let period = PERIOD;
  try {
    const { models, waiting, connections } = await askJson("v1/live");
    if (asked !== name) return;
    keep({ ...IDLE, ...models[name], waiting });
    byId("live-note").textContent = `Of “${name}” in the last 10 seconds; `
      + `the lines show the last ${MINUTES} minutes. `
      + `${number(connections, 15)} open ${connections === 1 ? "connection" : "connections"}.`;
  } catch (refusal) {
    byId("live-note").textContent = String(refusal);
    // A server that has no such figures will not get some; one that does not answer may come back.
    if (refusal.status === 404 || refusal.status === 401) return;
    period = 5 * PERIOD;
  }
  timer = setTimeout(look, period);
}

function keep(figures) {
  const at = performance.now();
  history = history.filter((moment) => at - moment.at < SPAN);
  history.push({ at, figures });
  for (const figure of FIGURES) draw(figure, at);
}

function draw({ key, unit }, now) {
  const { value, line, highest } = tiles.get(key);
  const known = history.filter(({ figures }) => figures[key] != null);
  const top = Math.max(...known.map(({ figures }) => figures[key]), 0);
  const last = history.at(-1).figures[key];
  value.textContent = last == null ? "–" : `${number(last, 3)}${unit}`;
  highest.textContent = known.length === 0 ? "" : `highest ${number(top, 3)}${unit}`;
  const x = (at) => (WIDTH * (1 - (now - at) / SPAN)).toFixed(1);
  const y = (figure) => (HEIGHT - 2 - (HEIGHT - 4) * (top > 0 ? figure / top : 0)).toFixed(1);
  line.setAttribute("points", known.map(({ at, figures }) => `${x(at)},${y(figures[key])}`).join(" "));
}

document.addEventListener("visibilitychange", look);
byId("live-pause").addEventListener("click", (event) => {
  paused = !paused;
  event.currentTarget.setAttribute("aria-pressed", String(paused));
  look();
});
