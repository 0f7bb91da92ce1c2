// The documentation of the API: the OpenAPI document as a page, and a form that tries each operation.
import { ask, askJson, byId, copyButton, el, keyed } from "./common.js";

const METHODS = ["get", "post", "put", "patch", "delete", "head", "options"];
const DEEPEST = 3; // Levels of a schema that are written out.

let api = {};

async function load() {
  try {
    api = await askJson("openapi.json");
  } catch (refusal) {
    byId("problem").append(el("p", { class: "error" }, String(refusal)));
    return;
  }
  byId("title").textContent = api.info?.title ?? "API";
  byId("intro").replaceChildren(
    el("p", { class: "soft" }, `Version ${api.info?.version ?? "–"}, OpenAPI ${api.openapi}.`),
    ...paragraphs(api.info?.description));
  const groups = byTag();
  byId("tags").replaceChildren(el("ul", {}, [...groups.keys()].map((tag) =>
    el("li", {}, el("a", { href: `#${idOf(tag)}` }, tag)))));
  byId("operations").replaceChildren(...[...groups].map(([tag, operations]) => section(tag, operations)));
}

function paragraphs(text) {
  return (text ?? "").split(/\n\s*\n/).filter(Boolean).map((paragraph) => el("p", {}, paragraph));
}

/** Operations by their first tag, in the order of the document's tags. */
function byTag() {
  const groups = new Map((api.tags ?? []).map(({ name }) => [name, []]));
  for (const [path, item] of Object.entries(api.paths ?? {})) {
    for (const method of METHODS.filter((method) => item[method])) {
      const operation = item[method];
      const tag = operation.tags?.[0] ?? "other";
      if (!groups.has(tag)) groups.set(tag, []);
      const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(resolved);
      groups.get(tag).push({ path, method, operation, parameters });
    }
  }
  return new Map([...groups].filter(([, operations]) => operations.length > 0));
}

function idOf(text) {
  return text.toLowerCase().replace(/[^a-z0-9]+/g, "-");
}

function section(tag, operations) {
  const id = idOf(tag);
  const described = (api.tags ?? []).find(({ name }) => name === tag)?.description;
  return el("section", { id, "aria-labelledby": `${id}-heading` },
    el("h2", { id: `${id}-heading` }, tag),
    paragraphs(described),
    operations.map(details));
}

function details({ path, method, operation, parameters }) {
  const id = idOf(`${method}-${path}`);
  const body = el("div");
  const whole = el("details", { class: "operation", id },
    el("summary", {},
      el("span", { class: `method ${method}` }, method.toUpperCase()),
      el("code", { class: "path" }, path),
      el("span", { class: "soft" }, operation.summary ?? "")),
    body);
  // What nobody opens is not made: a model may have hundreds of columns.
  const make = () => body.replaceChildren(...inside(id, path, method, operation, parameters));
  whole.addEventListener("toggle", make, { once: true });
  return whole;
}

function inside(id, path, method, operation, parameters) {
  const [kind, content] = Object.entries(resolved(operation.requestBody)?.content ?? {})[0] ?? [];
  const example = content && exampleOf(content);
  return [
    ...paragraphs(operation.description),
    ...(parameters.length > 0 ? [el("h3", {}, "Parameters"), table(["Name", "In", "Type", "Description"],
      parameters.map((parameter) => [
        named(parameter.name, parameter.required), parameter.in, typeOf(parameter.schema), parameter.description ?? "",
      ]), `Parameters of ${method.toUpperCase()} ${path}`)] : []),
    ...(content ? [el("h3", {}, "Body ", el("small", { class: "soft" }, kind)),
      schemaTable(content.schema, `Body of ${method.toUpperCase()} ${path}`)] : []),
    ...(example === undefined ? [] : exampleBox(`${id}-example`, example)),
    el("h3", {}, "Answers"),
    table(["Status", "Meaning", "Body"], Object.entries(operation.responses ?? {}).map(([status, response]) => {
      const { description, content } = resolved(response);
      const answers = Object.entries(content ?? {});
      return [status, description ?? "", answers.map(([kind, { schema }]) =>
        (schema ? `${nameOf(schema) ?? typeOf(schema)} as ${kind}` : kind)).join("; ")];
    }), `Answers of ${method.toUpperCase()} ${path}`),
    tryForm(id, path, method, parameters, kind, example),
  ];
}

function exampleBox(id, example) {
  const code = el("code", { id }, JSON.stringify(example, null, 2));
  return [
    el("div", { class: "heading" }, el("h3", {}, "Example"), el("span", {}, copyButton(code, "the example"))),
    el("pre", {}, code),
  ];
}

function named(name, required) {
  return [el("code", {}, name), required ? el("small", {}, " required") : null];
}

function table(heads, rows, label) {
  return el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": label },
    el("table", { "aria-label": label },
      el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map((cell) => el("td", {}, cell)))))));
}

/** What a `$ref` points to. */
function resolved(value) {
  for (let steps = 0; value?.$ref && steps < 10; steps += 1) {
    const names = value.$ref.replace(/^#\//, "").split("/");
    value = names.reduce((place, name) => place?.[name.replaceAll("~1", "/").replaceAll("~0", "~")], api);
  }
  return value;
}

function nameOf(schema) {
  return schema?.$ref?.split("/").at(-1);
}

function typeOf(schema) {
  const own = resolved(schema) ?? {};
  if (own.enum) return own.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (own.const !== undefined) return JSON.stringify(own.const);
  const several = own.oneOf ?? own.anyOf;
  if (several) return [...new Set(several.map(typeOf))].join(" or ");
  const types = [own.type ?? "anything"].flat();
  return types.map((type) => (type === "array" ? `list of ${typeOf(own.items)}` : type)).join(" or ");
}

function schemaTable(schema, label) {
  return table(["Name", "Type", "Description"], rowsOf(schema, 0), label);
}

/** A line for each property, those of objects inside below it. */
function rowsOf(schema, depth) {
  const own = resolved(schema) ?? {};
  const parts = [own, ...(own.allOf ?? []).map(resolved)];
  const required = new Set(parts.flatMap((part) => part.required ?? []));
  return parts.flatMap((part) => Object.entries(part.properties ?? {})).flatMap(([name, property]) => {
    const value = resolved(property) ?? {};
    const inner = [value.type].flat().includes("array") ? value.items : value;
    const cells = [
      el("span", { class: `deep-${depth}` }, named(name, required.has(name))), typeOf(property),
      property.description ?? value.description ?? "",
    ];
    return [cells, ...(depth < DEEPEST ? rowsOf(inner, depth + 1) : [])];
  });
}

/** The example of a body: one that is given, or one made from the schema. */
function exampleOf({ example, examples, schema }) {
  if (example !== undefined) return example;
  const first = resolved(Object.values(examples ?? {})[0]);
  return first?.value ?? sample(schema, 0);
}

function sample(schema, depth) {
  const own = resolved(schema) ?? {};
  const given = own.example ?? own.examples?.[0] ?? own.const ?? own.default ?? own.enum?.[0];
  if (given !== undefined || depth > DEEPEST) return given ?? null;
  const part = (own.oneOf ?? own.anyOf ?? own.allOf)?.[0];
  if (part) return sample(part, depth);
  const type = [own.type].flat()[0];
  if (type === "array") return [sample(own.items, depth + 1)];
  if (type === "object" || own.properties) {
    const wanted = Object.keys(own.properties ?? {}).filter((name) => own.required?.includes(name));
    return Object.fromEntries(wanted.map((name) => [name, sample(own.properties[name], depth + 1)]));
  }
  return { string: "", number: 0, integer: 0, boolean: false }[type] ?? null;
}

function tryForm(id, path, method, parameters, kind, example) {
  const answer = el("div", { role: "status" });
  const query = parameters.filter((parameter) => parameter.in === "query" && parameter.required);
  const filled = path.replace(/\{(\w+)\}/g, (whole, name) => {
    const parameter = parameters.find((parameter) => parameter.name === name);
    return parameter?.example || sample(parameter?.schema, 0) || whole;
  }) + (query.length > 0 ? `?${query.map(({ name }) => `${name}=`).join("&")}` : "");
  const where = el("input", { id: `${id}-path`, value: filled, autocomplete: "off", spellcheck: "false" });
  const what = kind && el("textarea", { id: `${id}-body`, spellcheck: "false" },
    example === undefined ? "" : JSON.stringify(example, null, 2));
  const form = el("form", { class: "try", "aria-label": `Try ${method.toUpperCase()} ${path}` },
    el("h4", {}, "Try it"),
    el("label", { for: `${id}-path` }, `Path of the ${method.toUpperCase()}`), where,
    what && el("label", { for: `${id}-body` }, "Body"), what,
    el("p", { class: "buttons" }, el("button", { class: "main" }, "Send")),
    answer);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const headers = what ? { "Content-Type": kind } : {};
    answer.replaceChildren(...await tried(where.value, { method: method.toUpperCase(), headers, body: what?.value }));
  });
  return form;
}

/** Asks for a path of this server and shows the answer. */
async function tried(path, options) {
  try {
    // Relative to this page, so that it works behind a proxy that adds a prefix.
    const response = await ask(new URL(`./${path.replace(/^\/+/, "")}`, document.baseURI), options);
    const text = await response.text();
    const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    const box = (title, text) => [el("h5", {}, title), el("pre", { tabindex: "0", "aria-label": title }, text)];
    return [
      el("p", {}, el("strong", { class: response.ok ? "good" : "error" }, `Status ${response.status}`),
        ` ${response.statusText}`),
      ...box("Headers", headers), ...box("Body", pretty(text)),
    ];
  } catch (refusal) {
    return [el("p", { class: "error" }, String(refusal))];
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

keyed(byId("openapi-link"), "openapi.json");
load();
