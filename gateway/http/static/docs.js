// Renders /openapi.json: operations by tag, fields, errors and events; searchable; no third party.
import { tryPanel } from "/docs/docs-try.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

/** An element; strings become text, never markup. */
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** `code` and **bold** in a line of text. */
function words(text) {
  return String(text).split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) =>
    part.startsWith("`") ? el("code", {}, part.slice(1, -1))
      : part.startsWith("**") ? el("strong", {}, part.slice(2, -2)) : part);
}

const paragraphs = (text) => text.trim().split(/\n\s*\n/).map((part) => el("p", {}, words(part)));

class Page {
  constructor(spec) {
    this.spec = spec;
    this.main = document.getElementById("content");
    this.nav = document.getElementById("nav");
  }

  resolve(schema) {
    return schema && schema.$ref ? this.resolve(this.spec.components.schemas[schema.$ref.split("/").pop()]) : schema ?? {};
  }

  kind(schema) {
    const found = this.resolve(schema);
    const options = found.oneOf ?? found.anyOf;
    if (options) return options.map((option) => this.kind(option)).join(" or ");
    if ("const" in found) return JSON.stringify(found.const);
    if (found.enum) return found.enum.map((value) => JSON.stringify(value)).join(" | ");
    if (found.type === "array") return `list of ${this.kind(found.items)}`;
    if (Array.isArray(found.type)) return found.type.join(" or ");
    return found.format ?? found.type ?? "any";
  }

  rules(schema) {
    const found = this.resolve(schema);
    const options = (found.anyOf ?? []).filter((option) => option.type !== "null");
    const part = options.length === 1 ? this.resolve(options[0]) : found;
    const names = { minLength: "min. length", maxLength: "max. length", minimum: "from", maximum: "to",
      minItems: "min. entries", maxItems: "max. entries", maxProperties: "max. pairs", pattern: "pattern" };
    const told = Object.entries(names).filter(([key]) => key in part).map(([key, name]) => `${name} ${part[key]}`);
    if (found.default !== undefined && found.default !== null) told.push(`default ${JSON.stringify(found.default)}`);
    return told.join(", ");
  }

  fields(schema) {
    const found = this.resolve(schema);
    if (!found.properties) return el("p", { class: "dim" }, this.kind(schema));
    const required = new Set(found.required ?? []);
    const rows = Object.entries(found.properties).map(([name, field]) => el("tr", {},
      el("td", {}, el("code", {}, name), required.has(name) ? el("div", { class: "dim" }, "required") : null),
      el("td", {}, this.kind(field), el("div", { class: "dim" }, this.rules(field))),
      el("td", {}, words(field.description ?? this.resolve(field).description ?? ""))));
    return el("table", {}, el("thead", {}, el("tr", {}, ["field", "type", "meaning"].map((title) => el("th", { scope: "col" }, title)))),
      el("tbody", {}, rows));
  }

  operation(path, method, op) {
    const request = op.requestBody?.content["application/json"]?.schema;
    const success = Object.entries(op.responses).find(([status]) => status < "300");
    const shown = success?.[1].content?.["application/json"]?.schema?.properties?.data;
    const parameters = op.parameters ?? [];
    return el("section", { class: "op", id: op.operationId, "data-words": `${path} ${op.operationId} ${op.summary}`.toLowerCase() },
      el("h3", {}, op.summary),
      el("div", {}, el("span", { class: `verb ${method.toUpperCase()}` }, method.toUpperCase()), " ", el("span", { class: "path" }, path)),
      el("p", { class: "dim" }, op["x-scope"] ? ["scope ", el("code", {}, op["x-scope"]), ` · roles ${op["x-roles"].join(", ")}`] : "no key"),
      op.description ? paragraphs(op.description) : null,
      parameters.length ? el("details", { open: true }, el("summary", {}, "Parameters"), this.parameters(parameters)) : null,
      request ? el("details", { open: true }, el("summary", {}, "Request body"), this.fields(request)) : null,
      shown ? el("details", {}, el("summary", {}, `Answer ${success[0]}`), this.fields(shown.items ?? shown)) : null,
      el("p", { class: "dim" }, "errors ", Object.keys(op.responses).filter((status) => status >= "400").join(", ")),
      tryPanel(path, method, op, request ? this.resolve(request) : null));
  }

  parameters(parameters) {
    return el("table", {}, el("tbody", {}, parameters.map((parameter) => el("tr", {},
      el("td", {}, el("code", {}, parameter.name), el("div", { class: "dim" }, parameter.in)),
      el("td", {}, this.kind(parameter.schema), el("div", { class: "dim" }, this.rules(parameter.schema))),
      el("td", {}, words(parameter.description ?? ""))))));
  }

  errors() {
    const rows = Object.entries(this.spec["x-error-codes"]).map(([code, meaning]) =>
      el("tr", { id: `error-${code}` }, el("td", {}, el("code", {}, code)), el("td", {}, words(meaning))));
    return el("section", { class: "words", "data-words": Object.keys(this.spec["x-error-codes"]).join(" ").toLowerCase() },
      el("table", {}, el("tbody", {}, rows)));
  }

  events() {
    const rows = Object.entries(this.spec.webhooks).map(([name, item]) =>
      el("tr", {}, el("td", {}, el("code", {}, name)), el("td", {}, item.post.summary)));
    return el("section", { class: "words", "data-words": Object.keys(this.spec.webhooks).join(" ") },
      el("table", {}, el("tbody", {}, rows)));
  }

  heading(id, title) {
    this.nav.append(el("h2", {}, title));
    this.main.append(el("h2", { id }, title));
  }

  render() {
    this.main.replaceChildren(el("section", { class: "words" }, paragraphs(this.spec.info.description)));
    for (const tag of this.spec.tags) {
      this.heading(`tag-${tag.name}`, tag.name);
      this.main.append(el("p", { class: "dim" }, tag.description));
      for (const [path, item] of Object.entries(this.spec.paths)) {
        for (const method of METHODS.filter((name) => item[name]?.tags.includes(tag.name))) {
          this.main.append(this.operation(path, method, item[method]));
          this.nav.append(el("a", { href: `#${item[method].operationId}` }, item[method].summary));
        }
      }
    }
    this.heading("events", "Events");
    this.main.append(this.events());
    this.heading("errors", "Errors");
    this.nav.append(el("a", { href: "#errors" }, "All error codes"));
    this.main.append(this.errors());
  }

  search(text) {
    const wanted = text.trim().toLowerCase().split(/\s+/).filter(Boolean);
    for (const section of this.main.querySelectorAll("section[data-words]")) {
      const held = `${section.dataset.words} ${section.textContent.toLowerCase()}`;
      section.hidden = !wanted.every((word) => held.includes(word));
      const link = section.id ? this.nav.querySelector(`a[href="#${section.id}"]`) : null;
      if (link) link.hidden = section.hidden;
    }
  }
}

async function start() {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(`/openapi.json answered ${answer.status}`);
  const page = new Page(await answer.json());
  page.render();
  const search = document.getElementById("search");
  search.addEventListener("input", () => page.search(search.value));
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/INPUT|TEXTAREA/.test(document.activeElement.tagName)) { event.preventDefault(); search.focus(); }
  });
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

start().catch((error) => { document.getElementById("content").textContent = `The document could not be read: ${error.message}`; });
