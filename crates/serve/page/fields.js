// Form fields made from the inputs of a model, the row that they hold, and errors beside the field that they name.
import { byId, el } from "./common.js";

const NAMES_OF_SEPARATORS = { " ": "a space", "\t": "a tab" };

/** What a row of a model may hold: what it reads, and keys of the store of features that it does not. */
export function columnsOf({ inputs, keys }) {
  return [...inputs, ...(keys ?? [])];
}

/** The fields of one form. */
export class Fields {
  /** `place` takes the fields; their ids begin with `prefix`. */
  constructor(place, prefix) {
    Object.assign(this, { place, prefix, inputs: [] });
  }

  /** Makes one field for each input. */
  make(inputs) {
    this.inputs = inputs;
    this.place.replaceChildren(...inputs.map((input, index) => {
      const id = `${this.prefix}-${index}`;
      const note = noteOf(input);
      const field = el("input", {
        id, name: input.name, autocomplete: "off", spellcheck: "false", autocapitalize: "none",
        "aria-describedby": note ? `${id}-error ${id}-note` : `${id}-error`,
        ...(input.kind === "numeric" ? { type: "number", step: "any" } : { type: "text" }),
      });
      return el("div", { class: "field" },
        el("label", { for: id }, input.name), field,
        note && el("small", { id: `${id}-note`, class: "soft" }, note),
        el("small", { id: `${id}-error`, class: "error" }));
    }));
  }

  /** Writes a row into the fields; what it does not name becomes missing. */
  set(row) {
    this.clearErrors();
    this.inputs.forEach((input, index) => {
      const [field, text] = [this.field(index), row?.[input.name] ?? ""];
      field.value = text;
      if (field.value === text) return;
      // What the server takes for a number is more than what browsers do.
      field.type = "text";
      field.value = text;
    });
  }

  /** The row as texts, which the server reads as it reads files; empty fields are not sent. */
  row() {
    const filled = this.inputs.map((input, index) => [input.name, this.field(index).value]);
    return Object.fromEntries(filled.filter(([, value]) => value !== ""));
  }

  /** Whether all fields can be sent: browsers hand over nothing of a number that is none. */
  check() {
    this.clearErrors();
    const bad = this.inputs.findIndex((_, index) => this.field(index).validity.badInput);
    if (bad >= 0) this.mark(bad, "Expected a number.");
    return bad < 0;
  }

  /** Shows a refusal beside the field that it names; false if it names none. */
  refuse(refusal) {
    const named = refusal.message.match(/column "((?:[^"\\]|\\.)*)"(?::\s*)?/);
    const index = named === null ? -1 : this.inputs.findIndex((input) => input.name === named[1]);
    if (index < 0) return false;
    const rest = refusal.message.slice(named.index + named[0].length);
    const sentence = rest.charAt(0).toUpperCase() + rest.slice(1);
    this.mark(index, refusal.hint ? `${sentence} (${refusal.hint})` : sentence);
    return true;
  }

  field(index) {
    return byId(`${this.prefix}-${index}`);
  }

  mark(index, message) {
    const field = this.field(index);
    field.setAttribute("aria-invalid", "true");
    byId(`${this.prefix}-${index}-error`).textContent = message;
    field.focus();
  }

  clearErrors() {
    this.inputs.forEach((_, index) => {
      this.field(index).removeAttribute("aria-invalid");
      byId(`${this.prefix}-${index}-error`).textContent = "";
    });
  }
}

function noteOf({ kind, separator, weight_separator: weight }) {
  if (kind === "moment") return "a point in time";
  if (kind === "key") return "what the store of features knows is looked up by it";
  if (kind !== "multi_valued") return null;
  const several = `several, between them ${nameOf(separator)}`;
  return weight ? `${several}, a weight behind ${nameOf(weight)}` : several;
}

function nameOf(separator) {
  return NAMES_OF_SEPARATORS[separator] ?? `“${separator}”`;
}
