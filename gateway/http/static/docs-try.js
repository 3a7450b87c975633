// The "try it" panel of one operation: fill in, send, see the answer; and the same as a curl command.
// The key stays in its input field: it is stored nowhere.

const keyOf = () => document.getElementById("key").value.trim();

function node(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** An example body: the schema's own, else its required fields with their examples. */
function sample(schema) {
  if (schema.examples?.length) return schema.examples[0];
  const made = {};
  for (const name of schema.required ?? []) made[name] = schema.properties[name].examples?.[0] ?? schema.properties[name].const ?? "";
  return made;
}

const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;

/** The request as curl, with a placeholder for the key. */
export function curl({ method, url, body, headers }) {
  const lines = [`curl ${quoted(url)}`];
  if (method !== "GET") lines[0] = `curl -X ${method} ${quoted(url)}`;
  lines.push(`-H "X-API-Key: $PATCHBAY_KEY"`);
  for (const [name, value] of Object.entries(headers)) lines.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (body) lines.push(`-d ${quoted(body)}`);
  return lines.join(" \\\n  ");
}

/** The request that the inputs describe. */
function requestOf(path, method, inputs, text) {
  let filled = path;
  const query = new URLSearchParams();
  const headers = {};
  for (const { parameter, input } of inputs) {
    const value = input.value.trim();
    if (parameter.in === "path") filled = filled.replace(`{${parameter.name}}`, encodeURIComponent(value || `{${parameter.name}}`));
    else if (value && parameter.in === "query") query.set(parameter.name, value);
    else if (value) headers[parameter.name] = value;
  }
  const search = query.size ? `?${query}` : "";
  const body = text?.value.trim() || null;
  if (body) headers["Content-Type"] = "application/json";
  return { method: method.toUpperCase(), url: `${location.origin}${filled}${search}`, body, headers };
}

async function send(request, output) {
  output.textContent = "…";
  const headers = { ...request.headers };
  if (keyOf()) headers["X-API-Key"] = keyOf();
  const began = performance.now();
  try {
    const answer = await fetch(request.url, { method: request.method, headers, body: request.body });
    const took = Math.round(performance.now() - began);
    const raw = await answer.text();
    let shown = raw;
    if ((answer.headers.get("content-type") ?? "").startsWith("application/json")) shown = JSON.stringify(JSON.parse(raw), null, 2);
    output.textContent = `${answer.status} in ${took} ms\n\n${shown}`;
  } catch (error) {
    output.textContent = `No answer: ${error.message}`;
  }
}

export function tryPanel(path, method, op, schema) {
  const inputs = (op.parameters ?? []).map((parameter) => ({
    parameter, input: node("input", { "aria-label": parameter.name, placeholder: parameter.in, autocomplete: "off" }),
  }));
  const row = node("div", { class: "row" }, ...inputs.map(({ parameter, input }) => node("label", {}, parameter.name, input)));
  const text = schema ? node("textarea", { "aria-label": "Request body", spellcheck: "false" }) : null;
  if (text) text.value = JSON.stringify(sample(schema), null, 2);
  const command = node("pre"), output = node("pre", { role: "status" });
  const go = node("button", { type: "button" }, "Send");
  const copy = node("button", { type: "button", class: "plain" }, "Copy curl");
  const current = () => requestOf(path, method, inputs, text);
  const refresh = () => { command.textContent = curl(current()); };
  const panel = node("details", { class: "try" }, node("summary", {}, "Try it"), row, ...(text ? [text] : []),
    node("div", { class: "row" }, go, copy), command, output);
  panel.addEventListener("toggle", refresh);
  panel.addEventListener("input", refresh);
  go.addEventListener("click", () => send(current(), output));
  copy.addEventListener("click", () => navigator.clipboard.writeText(curl(current())));
  return panel;
}
