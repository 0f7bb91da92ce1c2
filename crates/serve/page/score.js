// The form of a row, its prediction with what moved it, and the same request for a shell and for Python.
import { askJson, byId, copyButton, el, hasKey, number, prediction, svg } from "./common.js";
import { Fields, columnsOf } from "./fields.js";

const fields = new Fields(byId("score-fields"), "score");
let model = null;
let running = 0; // The newest request: answers of older ones come too late.

function columnsText(shown) {
  return JSON.stringify(columnsOf(shown.current));
}

/** Makes the form of a model; values stay where its inputs are those of before. */
export function showScore(next) {
  const before = model;
  model = next;
  byId("score-example").disabled = !model.current.example;
  if (before?.name === model.name && columnsText(before) === columnsText(model)) {
    // What another version said of the row is no longer so.
    if (before.current.version !== model.current.version) clearResult();
    return;
  }
  fields.make(columnsOf(model.current));
  example();
}

/** Scores a row that came from elsewhere on the page. */
export function scoreRow(row) {
  fields.set(row);
  showRequests();
  score();
  byId("score").scrollIntoView();
  byId("score-side").focus({ preventScroll: true });
}

function example() {
  fields.set(model.current.example);
  clearResult();
  showRequests();
}

function clearResult() {
  running += 1;
  byId("score-error").replaceChildren();
  byId("score-result").replaceChildren(el("p", { class: "soft" }, "The prediction appears here."));
  byId("score-why").replaceChildren();
}

async function score() {
  if (!fields.check()) return;
  const request = (running += 1);
  const asked = { row: fields.row(), name: model.name, task: model.current.task };
  byId("score-error").replaceChildren();
  try {
    const scored = await askJson("v1/predict", { model: asked.name, rows: [asked.row] });
    if (request !== running) return;
    showPrediction(scored, asked.task);
    const explained = await askJson("v1/explain", { model: asked.name, row: asked.row });
    if (request === running) showWhy(explained, asked);
  } catch (refusal) {
    if (request !== running) return;
    clearResult();
    if (!fields.refuse(refusal)) byId("score-error").append(el("p", { class: "error" }, String(refusal)));
  }
}

function showPrediction({ predictions: [value], logits: [logit] }, task) {
  const what = task === "binary" ? "Probability" : "Prediction";
  byId("score-result").replaceChildren(
    el("p", { class: "soft" }, what),
    el("p", { class: "big" }, prediction(value, task)),
    el("p", { class: "soft" }, "exactly ", el("code", {}, String(value)),
      task === "binary" ? [", logit ", el("code", {}, String(logit))] : []));
}

function showWhy({ base, logit, contributions, exact }, { row, task }) {
  const unit = task === "binary" ? "logit" : "score";
  const moved = contributions.filter(({ contribution }) => contribution !== 0)
    .sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution));
  const largest = Math.max(...moved.map(({ contribution }) => Math.abs(contribution)), Number.MIN_VALUE);
  const inputs = new Set(model.current.inputs.map(({ name }) => name));
  const line = ({ column, kind, contribution }) => el("tr", {},
    el("th", { scope: "row" }, column,
      el("small", { class: "soft" }, row[column] ?? (inputs.has(column) ? "missing" : kind))),
    el("td", {}, bar(contribution / largest)),
    el("td", { class: "n" }, signed(contribution)));
  const total = (name, value) => el("tr", { class: "total" },
    el("th", { scope: "row" }, name), el("td"), el("td", { class: "n" }, number(value)));
  const sum = contributions.reduce((sum, { contribution }) => sum + contribution, base);
  const still = contributions.length - moved.length;
  byId("score-why").replaceChildren(
    el("h3", { id: "why-heading" }, "What moves it"),
    el("table", { class: "why", "aria-labelledby": "why-heading" },
      el("thead", {}, el("tr", {},
        el("th", { scope: "col" }, "Column"),
        el("th", { scope: "col" }, el("span", { class: "ends" }, el("span", {}, "− down"), el("span", {}, "up +"))),
        el("th", { scope: "col", class: "n" }, unit.charAt(0).toUpperCase() + unit.slice(1)))),
      el("tbody", {}, total("Base: all missing", base), moved.map(line), total("Sum", sum))),
    el("p", { class: "note" },
      unmoved(still, moved.length),
      exact
        ? "The contributions are exact."
        : "Shapley values, from replacing columns by missing in seeded random orders.",
      ` They add up to the ${unit} of the row, ${number(logit)}.`));
}

function unmoved(still, moved) {
  if (moved === 0) return "No column moves anything. ";
  if (still === 0) return "";
  return still === 1 ? "One other column moves nothing. " : `${still} other columns move nothing. `;
}

function signed(value) {
  return value > 0 ? `+${number(value)}` : number(value);
}

/** A bar to the right of the middle for what moves up, a hatched one to the left for what moves down. */
function bar(share) {
  const width = Math.max(Math.abs(share) * 50, 0.5);
  const own = share > 0
    ? { x: "50%", class: "up" }
    : { x: `${50 - width}%`, class: "down", fill: "url(#hatch)" };
  return svg("svg", { class: "bar", width: "100%", height: "18", "aria-hidden": "true" },
    svg("rect", { y: "2", height: "14", width: `${width}%`, ...own }),
    svg("line", { x1: "50%", x2: "50%", y1: "0", y2: "18", class: "axis" }));
}

function showRequests() {
  const url = new URL("v1/predict", document.baseURI).href;
  const row = Object.entries(fields.row()).map((pair) => pair.map((text) => JSON.stringify(text)).join(": "));
  const body = `{"model": ${JSON.stringify(model.name)}, "rows": [{${row.join(", ")}}]}`;
  const key = hasKey() ? ' -H "Authorization: Bearer $DLRM_KEY"' : "";
  boxes.curl.textContent = `curl -s ${url}${key} -d '${body.replaceAll("'", "'\\''")}'`;
  boxes.python.textContent = pythonOf(url, body);
}

/** Python without packages. What JSON.stringify writes of texts is a literal there, too. */
function pythonOf(url, body) {
  const key = hasKey() ? ',\n    headers={"Authorization": "Bearer " + os.environ["DLRM_KEY"]}' : "";
  return `import json${hasKey() ? ", os" : ""}, urllib.request

body = ${body}
request = urllib.request.Request(
    "${url}",
    data=json.dumps(body).encode()${key})
print(json.load(urllib.request.urlopen(request)))`;
}

const boxes = {};

function makeBoxes() {
  for (const [name, title] of [["curl", "curl"], ["python", "Python"]]) {
    const code = el("code", { id: `score-${name}` });
    boxes[name] = code;
    byId("score-requests").append(el("div", { class: "request" },
      el("div", { class: "heading" }, el("h3", {}, `The same with ${title}`), el("span", {}, copyButton(code, title))),
      el("pre", {}, code)));
  }
}

makeBoxes();
byId("score-form").addEventListener("submit", (event) => {
  event.preventDefault();
  score();
});
byId("score-form").addEventListener("input", showRequests);
byId("score-example").addEventListener("click", example);
byId("score-clear").addEventListener("click", () => {
  fields.set({});
  clearResult();
  showRequests();
});
