// The page: which models answer, which one is shown, and its parts.
import { askJson, byId, el, keyed, number } from "./common.js";
import { showLive } from "./live.js";
import { showRecommend } from "./recommend.js";
import { showScore } from "./score.js";

const PERIOD = 5000; // Time between two looks at the models, which may be loaded again at any time.
const KINDS = {
  lr: "logistic regression", fm: "factorization machine", ffm: "field-aware FM", mf: "matrix factorization",
  ncf: "neural collaborative filtering", dnn: "deep network", wide_deep: "Wide & Deep", deepfm: "DeepFM",
  dcn: "Deep & Cross", dcn_v2: "DCN-V2", xdeepfm: "xDeepFM", dlrm: "DLRM",
};
const TASKS = { binary: "a probability", rating: "a number" };
const METRICS = {
  log_loss: "Log loss", auc: "AUC", accuracy: "Accuracy", rmse: "RMSE", mae: "MAE",
  normalized_entropy: "Normalized entropy", calibration_error: "Calibration error",
  hit_rate_at_10: "HR@10", ndcg_at_10: "NDCG@10",
};

let models = [];
let chosen = new URLSearchParams(location.search).get("model");
let shown = ""; // What the part of the model shows, to leave it alone while nothing changes.

async function look() {
  try {
    ({ models } = await askJson("v1/models"));
    byId("problem").replaceChildren();
    show();
  } catch (refusal) {
    byId("problem").replaceChildren(el("p", { class: "error" }, String(refusal)));
    if (shown === "") byId("model-heading").textContent = "No models";
    if (refusal.status === 401) return;
  }
  setTimeout(lookIfSeen, PERIOD);
}

function lookIfSeen() {
  if (!document.hidden) look();
  else document.addEventListener("visibilitychange", lookIfSeen, { once: true });
}

function show() {
  const model = models.find(({ name }) => name === chosen) ?? models[0];
  if (model === undefined) return;
  showChoice(model);
  showModel(model);
  for (const part of ["score", "recommend", "live"]) byId(part).hidden = model.current === null;
  if (model.current === null) return;
  showScore(model);
  showRecommend(model);
  showLive(model);
}

function showChoice(model) {
  const select = byId("models");
  byId("choose-model").hidden = models.length < 2;
  if ([...select.options].map(({ value }) => value).join("\n") !== models.map(({ name }) => name).join("\n")) {
    select.replaceChildren(...models.map(({ name }) => el("option", { value: name }, name)));
  }
  select.value = model.name;
}

function choose(name) {
  chosen = name;
  const place = new URL(location.href);
  place.searchParams.set("model", name);
  history.replaceState(null, "", place);
  show();
}

function showModel(model) {
  const next = JSON.stringify([model, models.length > 1 ? models : null]);
  if (next === shown) return;
  const [before] = shown === "" ? [null] : JSON.parse(shown);
  shown = next;
  tellOfChange(before, model);
  document.title = `${model.name} – dlrm`;
  byId("model-heading").textContent = model.name;
  byId("model-body").replaceChildren(
    ...(model.failed ? [failure(model)] : []),
    ...(model.current ? [facts(model), metrics(model.current)] : []),
    ...(models.length > 1 ? [tableOfModels()] : []));
  const report = byId("report-link");
  report.hidden = !model.current?.report;
  if (model.current?.report) report.href = model.current.report.replace(/^\//, "");
}

function tellOfChange(before, model) {
  if (before?.name !== model.name) return;
  if (model.failed && model.failed !== before.failed) byId("told").textContent = "A version could not be loaded.";
  else if (model.current && model.current.version !== before.current?.version) {
    byId("told").textContent = `Version ${model.current.version} of ${model.name} answers now.`;
  }
}

function failure({ current, failed }) {
  const goesOn = current ? "The last version that was tried could not be loaded; this one goes on."
    : "This model could not be loaded.";
  return el("div", { class: "warning" }, el("p", {}, el("strong", {}, goesOn)), el("p", {}, failed));
}

function facts({ current, previous }) {
  const fact = (name, value) => (value == null ? null : el("div", {}, el("dt", {}, name), el("dd", {}, value)));
  return el("dl", { class: "facts" },
    fact("Kind", KINDS[current.kind] ?? current.kind),
    fact("Predicts", TASKS[current.task] ?? current.task),
    fact("Version", el("code", {}, current.version)),
    fact("Answers since", since(current.since)),
    fact("Version before", previous ? el("code", {}, previous) : null));
}

function since(seconds) {
  if (seconds == null) return null;
  const moment = new Date(seconds * 1000);
  return el("time", { datetime: moment.toISOString() },
    moment.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }));
}

function metrics({ metrics: { test, validation } = {}, intervals = [] }) {
  const [part, values] = test ? ["test", test] : ["validation", validation];
  if (!values) return el("p", { class: "soft" }, "It was not measured on rows of its own.");
  const tile = (name, title) => {
    const interval = intervals.find(({ metric }) => metric === name)?.interval;
    const range = interval && part === "test"
      ? el("small", {}, `95 %: ${number(interval.low)} to ${number(interval.high)}`)
      : null;
    return el("div", {}, el("dt", {}, title), el("dd", {}, number(values[name]), range));
  };
  const means = el("div", {}, el("dt", {}, "Mean prediction"), el("dd", {}, number(values.mean_prediction),
    el("small", {}, `mean label ${number(values.mean_label)}`)));
  return el("div", {},
    el("h2", { class: "plain" }, `On ${number(values.rows, 15)} ${part} rows`),
    el("dl", { class: "tiles" }, Object.entries(METRICS).filter(([name]) => values[name] != null)
      .map(([name, title]) => tile(name, title)), means));
}

function tableOfModels() {
  const state = ({ current, failed }) => {
    if (current === null) return "not loaded";
    return failed ? "answers; a later version failed" : "answers";
  };
  const line = (model) => el("tr", {},
    el("th", { scope: "row" },
      el("button", { type: "button", class: "link", click: () => choose(model.name) }, model.name)),
    el("td", {}, model.current ? KINDS[model.current.kind] ?? model.current.kind : "–"),
    el("td", {}, model.current ? el("code", {}, model.current.version) : "–"),
    el("td", {}, state(model)));
  return el("div", {},
    el("h2", { class: "plain", id: "all-heading" }, "All models"),
    el("div", { class: "scroll", role: "region", tabindex: "0", "aria-labelledby": "all-heading" },
      el("table", { "aria-labelledby": "all-heading" },
        el("thead", {}, el("tr", {},
          ["Name", "Kind", "Version", "State"].map((name) => el("th", { scope: "col" }, name)))),
        el("tbody", {}, models.map(line)))));
}

byId("models").addEventListener("change", (event) => choose(event.target.value));
keyed(byId("report-link"), "report.html");
keyed(byId("openapi-link"), "openapi.json");
keyed(byId("metrics-link"), "metrics.txt");
look();
