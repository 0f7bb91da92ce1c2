// Who is recommended what: fields of the user, a filter, and the items that score highest.
import { askJson, byId, el, number, prediction } from "./common.js";
import { Fields, columnsOf } from "./fields.js";
import { scoreRow } from "./score.js";

const NO_CATALOGUE = "The server has no catalogue of items to choose from. "
  + "Start it with --items FILE, a table with a row for each item.";
const OPTIONS = ["k", "filter", "exclude_seen"];

let model = null;
let fields = null;
let running = 0;

/** Makes the form for a model, unless it is there. */
export function showRecommend(next) {
  const formOf = (shown) => JSON.stringify([shown?.name, shown && columnsOf(shown.current), shown?.current.items]);
  const before = model;
  model = next;
  if (formOf(before) === formOf(model)) {
    // What another version recommended is no longer so.
    if (before.current.version !== model.current.version) clearResult();
    return;
  }
  running += 1;
  if (model.current.items) makeForm();
  else byId("recommend-body").replaceChildren(el("p", { class: "warning" }, NO_CATALOGUE));
}

function clearResult() {
  running += 1;
  for (const id of ["recommend-told", "recommend-result"]) byId(id)?.replaceChildren();
}

/** What a filter is, with a condition on a value of the example where that has one. */
function noteOfFilter() {
  const { example, inputs, items } = model.current;
  const known = inputs.filter(({ name }) => items.columns.includes(name) && example?.[name]);
  const input = known.find(({ kind }) => kind === "multi_valued") ?? known.at(-1);
  const about = `a condition on ${items.columns.join(", ")}`;
  if (input === undefined) return about;
  const value = example[input.name];
  if (input.kind !== "multi_valued") return `${about}: such as ${input.name} = "${value}"`;
  const [first] = value.split(input.separator)[0].split(input.weight_separator ?? undefined);
  return `${about}: such as ${input.name} contains "${first}"`;
}

function makeForm() {
  const { items, example } = model.current;
  const place = el("div", { class: "fields" });
  fields = new Fields(place, "user");
  const option = (name, label, width, attributes, note) => el("div", { class: `field ${width}` },
    el("label", { for: `recommend-${name}` }, label),
    el("input", { id: `recommend-${name}`, autocomplete: "off", spellcheck: "false", ...attributes,
      "aria-describedby": `recommend-${name}-error recommend-${name}-note` }),
    el("small", { id: `recommend-${name}-note`, class: "soft" }, note),
    el("small", { id: `recommend-${name}-error`, class: "error" }));
  const form = el("form", { id: "recommend-form", novalidate: true, submit: onSubmit },
    el("fieldset", {}, el("legend", {}, "The user"), place),
    el("fieldset", {}, el("legend", {}, "The items"), el("div", { class: "fields" },
      option("k", "How many", "", { type: "number", min: "1", step: "1", value: "10" }, "items at most"),
      option("filter", "Filter", "wide", { type: "text" }, noteOfFilter()),
      el("div", { class: "field check" },
        el("input", { id: "recommend-exclude_seen", type: "checkbox",
          "aria-describedby": "recommend-exclude_seen-error" }),
        el("label", { for: "recommend-exclude_seen" }, "Leave out what the user has seen"),
        el("small", { id: "recommend-exclude_seen-error", class: "error" })))),
    el("p", { class: "buttons" }, el("button", { class: "main" }, "Recommend")),
    el("div", { id: "recommend-error", role: "alert" }));
  byId("recommend-body").replaceChildren(
    el("p", { class: "soft" },
      `The model scores each of the ${number(items.count, 15)} items of the catalogue for this user.`),
    form,
    el("p", { id: "recommend-told", role: "status", class: "soft" }),
    el("div", { id: "recommend-result" }));
  fields.make(columnsOf(model.current).filter(({ name }) => !items.columns.includes(name)));
  fields.set(example);
}

function onSubmit(event) {
  event.preventDefault();
  recommend();
}

async function recommend() {
  clearErrors();
  if (!fields.check()) return;
  const k = byId("recommend-k");
  if (!k.checkValidity()) {
    mark("k", "Expected a whole number from 1 on.");
    return;
  }
  const request = (running += 1);
  const user = fields.row();
  const body = { model: model.name, user };
  if (k.value !== "") body.k = Number(k.value);
  const filter = byId("recommend-filter").value.trim();
  if (filter !== "") body.filter = filter;
  if (byId("recommend-exclude_seen").checked) body.exclude_seen = true;
  try {
    const answer = await askJson("v1/recommend", body);
    if (request === running) showItems(answer, user);
  } catch (refusal) {
    if (request === running) refuse(refusal);
  }
}

function clearErrors() {
  byId("recommend-error").replaceChildren();
  byId("recommend-told").textContent = "";
  for (const name of OPTIONS) {
    byId(`recommend-${name}-error`).textContent = "";
    byId(`recommend-${name}`).removeAttribute("aria-invalid");
  }
}

function refuse(refusal) {
  byId("recommend-result").replaceChildren();
  if (fields.refuse(refusal)) return;
  const option = OPTIONS.find((name) => new RegExp(`^${name}\\b`).test(refusal.message));
  if (option === undefined) {
    byId("recommend-error").append(el("p", { class: "error" }, String(refusal)));
    return;
  }
  mark(option, String(refusal));
}

function mark(option, message) {
  byId(`recommend-${option}-error`).textContent = message;
  byId(`recommend-${option}`).setAttribute("aria-invalid", "true");
  byId(`recommend-${option}`).focus();
}

function showItems({ items, candidates }, user) {
  const all = `${number(candidates, 15)} ${candidates === 1 ? "candidate" : "candidates"}`;
  byId("recommend-told").textContent = items.length === 0
    ? `None of the items may be recommended (${all}).`
    : `${items.length === 1 ? "The best" : `The best ${items.length}`} of ${all}.`;
  const { key, columns: known } = model.current.items;
  const columns = [key, ...known.filter((name) => name !== key)];
  const table = el("table", { "aria-label": "Recommended items" },
    el("thead", {}, el("tr", {},
      el("th", { scope: "col", class: "n" }, "Rank"),
      columns.map((column) => el("th", { scope: "col" }, column)),
      el("th", { scope: "col", class: "n" }, "Prediction"),
      el("th", { scope: "col" }, el("span", { class: "hidden" }, "Explanation")))),
    el("tbody", {}, items.map((item, index) => lineOf(item, index + 1, columns, user))));
  byId("recommend-result").replaceChildren(...(items.length === 0 ? [] : [
    el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Recommended items" }, table),
  ]));
}

function lineOf({ item, prediction: value }, rank, columns, user) {
  const why = el("button", { type: "button", class: "small", "aria-label": `Why rank ${rank}` }, "Why?");
  why.addEventListener("click", () => scoreRow({ ...user, ...item }));
  return el("tr", {},
    el("td", { class: "n" }, String(rank)),
    columns.map((column) => el("td", {}, item[column] ?? "")),
    el("td", { class: "n" }, prediction(value, model.current.task)),
    el("td", {}, why));
}
