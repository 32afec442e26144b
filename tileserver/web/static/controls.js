// A control for each parameter of the function, and the query that they make together.

import { debounced, element } from "./elements.js";

const NUMBERS = { int: "1", float: "any" };
const MOMENTS = { datetime: "datetime-local", date: "date", time: "time" };
const STRUCTURES = new Set(["list", "dict", "tuple"]);
const WAIT = 250;

// Fills the form; calls `changed` when a value was changed. Returns { query(), missing() }.
export function makeControls(form, parameters, given, changed) {
  const controls = parameters.map((parameter) => makeControl(parameter, given.getAll(parameter.name)));
  form.replaceChildren(...controls.map((control) => control.row));
  form.hidden = controls.length === 0;
  form.addEventListener("input", debounced(WAIT, changed));
  form.addEventListener("submit", (event) => event.preventDefault());
  const names = new Set(parameters.map((parameter) => parameter.name));
  const others = [...given].filter(([name]) => !names.has(name) && name !== "v");
  return {
    query: () => new URLSearchParams([...controls.flatMap(pair), ...others]),
    missing: () => controls.filter((control) => control.parameter.required && !control.read()).map((each) => each.parameter.name),
  };
}

// What equals the default is left out: links stay short, and one picture has one address.
function pair({ parameter, field, read }) {
  const value = read();
  const unchanged = value === "" || value === asText(parameter, parameter.default);
  return unchanged || !field.checkValidity() ? [] : [[parameter.name, value]];
}

function makeControl(parameter, values) {
  const id = `parameter-${parameter.name}`;
  const start = values.length === 0 ? asText(parameter, parameter.default) : fromQuery(parameter, values);
  const field = makeField(parameter, id, start);
  field.setAttribute("aria-describedby", `${id}-hint`);
  const label = element("label", { for: id }, parameter.name);
  const hint = element("span", { class: "hint", id: `${id}-hint` }, hintOf(parameter));
  const kind = field.type === "checkbox" ? "row switch-row" : "row";
  const row = element("div", { class: kind }, element("div", { class: "label" }, label, hint), field);
  const read = field.type === "checkbox" ? () => String(field.checked) : () => field.value.trim();
  return { parameter, field, row, read };
}

function makeField(parameter, id, start) {
  const { type } = parameter;
  const common = { id, name: parameter.name, required: parameter.required };
  const placeholder = parameter.required ? "required" : parameter.example ?? asText(parameter, parameter.default);
  if (type === "bool" && !parameter.optional && !parameter.required) {
    return element("input", { ...common, type: "checkbox", role: "switch", class: "switch", checked: start === "true" });
  }
  if (type === "literal" || type === "bool") return makeSelect(parameter, common, start);
  if (type in NUMBERS) return element("input", { ...common, type: "number", step: NUMBERS[type], value: start, placeholder });
  if (type in MOMENTS) return element("input", { ...common, type: MOMENTS[type], step: type === "date" ? null : 1, value: start });
  const text = element("input", { ...common, type: "text", value: start, placeholder, spellcheck: "false" });
  if (STRUCTURES.has(type)) text.addEventListener("input", () => text.setCustomValidity(complaint(text.value)));
  return text;
}

function makeSelect(parameter, common, start) {
  const choices = parameter.type === "bool" ? [true, false] : parameter.choices;
  const offered = choices.map((choice) => choice === null ? "" : String(choice));
  const nothing = parameter.optional || start === "" ? [element("option", { value: "" }, parameter.required ? "choose" : "none")] : [];
  const options = offered.map((choice) => element("option", { value: choice, selected: choice === start }, choice));
  return element("select", common, ...nothing, ...options);
}

function complaint(text) {
  if (!text.trim()) return "";
  try {
    JSON.parse(text);
    return "";
  } catch {
    return "This is not JSON, such as [1, 2] or {\"a\": 1}.";
  }
}

function hintOf({ type, optional, example }) {
  if (example) return "display";
  const name = { literal: "choice", any: "", str: "text", bool: "" }[type] ?? type;
  return optional && name ? `${name}, optional` : name || (optional ? "optional" : "");
}

function fromQuery(parameter, values) {
  if (values.length > 1 && STRUCTURES.has(parameter.type)) return JSON.stringify(values);
  const last = values.at(-1);
  if (parameter.type === "bool") return String(/^(true|1|yes|on)$/i.test(last));
  return parameter.type === "datetime" ? local(last) : last;
}

function asText(parameter, value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "object") return JSON.stringify(value);
  return parameter.type === "datetime" ? local(String(value)) : String(value);
}

// A datetime-local field takes no zone and gives no seconds where they are zero.
function local(text) {
  return text.replace(" ", "T").replace(/(\.\d+)?(Z|[+-]\d\d:?\d\d)?$/, "").replace(/^(.{16}):00$/, "$1");
}
