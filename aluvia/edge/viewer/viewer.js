// The API's description for people: openapi.json as a page, and each operation to be tried.
// Nothing is loaded from elsewhere, nothing but the token is kept (token.js), and whatever comes from
// the API is put into the page as text, never as markup.
"use strict";

// Of an answer that goes on; characters.
const MOST_SHOWN = 65536;

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

function heading(text) {
  return element("h3", {}, text);
}

function authorization() {
  const token = byId("token").value.trim();
  return token ? { Authorization: `Bearer ${token}` } : {};
}

// References are of one kind: #/components/schemas/Route.
function resolved(description, thing) {
  if (!thing.$ref) {
    return thing;
  }
  return thing.$ref.slice(2).split("/").reduce((place, name) => place[name], description);
}

function schemaName(schema) {
  return schema.$ref ? schema.$ref.split("/").pop() : null;
}

function typeOf(schema) {
  const name = schemaName(schema);
  if (name) {
    return name;
  }
  if (schema.anyOf || schema.oneOf) {
    return (schema.anyOf || schema.oneOf).map(typeOf).join(" | ");
  }
  if ("const" in schema) {
    return JSON.stringify(schema.const);
  }
  if (schema.enum) {
    return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  }
  if (schema.type === "array") {
    return `${typeOf(schema.items || {})}[]`;
  }
  return [].concat(schema.type || "any").join(" | ");
}

// What a body may look like: what must be there, and what has no default.
function example(description, schema, depth) {
  const found = resolved(description, schema);
  if (found.oneOf || found.anyOf) {
    return example(description, (found.oneOf || found.anyOf)[0], depth);
  }
  if ("const" in found) {
    return found.const;
  }
  if (found.default !== undefined) {
    return found.default;
  }
  if (found.enum) {
    return found.enum[0];
  }
  const type = [].concat(found.type || "object")[0];
  if (type === "object") {
    const made = {};
    for (const [name, below] of Object.entries(found.properties || {})) {
      const needed = (found.required || []).includes(name);
      const worth = needed || ["backends", "hostname", "port", "key"].includes(name);
      if (!below.readOnly && worth && depth < 3) {
        made[name] = example(description, below, depth + 1);
      }
    }
    return made;
  }
  const plain = { array: () => [example(description, found.items || {}, depth + 1)] };
  return (plain[type] || (() => ({ integer: 1, number: 1, boolean: false }[type] ?? "")))();
}

function notes(schema) {
  const bounds = [
    schema.readOnly ? "shown, not set" : "",
    schema.writeOnly ? "set, not shown" : "",
    schema.default !== undefined ? `default ${JSON.stringify(schema.default)}` : "",
    schema.minimum !== undefined ? `from ${schema.minimum}` : "",
    schema.maximum !== undefined ? `up to ${schema.maximum}` : "",
    schema.description || "",
  ];
  return bounds.filter((text) => text).join("; ");
}

function table(rows) {
  return element(
    "table",
    {},
    ...rows.map((cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, cell)))),
  );
}

function showSchema(name, schema) {
  const needed = schema.required || [];
  const rows = Object.entries(schema.properties || {}).map(([member, below]) => [
    element("code", {}, needed.includes(member) ? `${member} *` : member),
    element("code", {}, typeOf(below)),
    notes(below),
  ]);
  const body = rows.length ? table(rows) : element("code", {}, typeOf(schema));
  return element(
    "details",
    { id: `schema-${name}` },
    element("summary", {}, element("code", {}, name), " ", schema.description || ""),
    element("div", {}, body),
  );
}

function inputs(description, operation) {
  return (operation.parameters || []).map((each) => {
    const parameter = resolved(description, each);
    const input = element("input", { spellcheck: false, ariaLabel: parameter.name });
    return { parameter, input };
  });
}

function addressed(path, given) {
  let target = path;
  const query = new URLSearchParams();
  const headers = {};
  for (const { parameter, input } of given) {
    const value = input.value.trim();
    if (parameter.in === "path") {
      target = target.replace(`{${parameter.name}}`, encodeURIComponent(value));
    } else if (value && parameter.in === "query") {
      for (const each of parameter.schema.type === "array" ? value.split(/[\s,]+/) : [value]) {
        query.append(parameter.name, each);
      }
    } else if (value) {
      headers[parameter.name] = value;
    }
  }
  return { target: query.size ? `${target}?${query}` : target, headers };
}

async function readInto(response, output) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const head = output.textContent;
  let text = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    text = (text + part.value).slice(-MOST_SHOWN);
    output.textContent = head + text;
  }
  if ((response.headers.get("Content-Type") || "").includes("json")) {
    output.textContent = head + JSON.stringify(JSON.parse(text), null, 2);
  }
}

async function send(method, path, given, body, output, signal) {
  const { target, headers } = addressed(path, given);
  const request = { method: method.toUpperCase(), headers: { ...headers, ...authorization() } };
  if (body && body.field.value.trim()) {
    request.body = body.field.value;
    request.headers["Content-Type"] = body.type;
  }
  output.hidden = false;
  output.textContent = `${request.method} ${target}\n`;
  const response = await fetch(target, { ...request, signal, cache: "no-store" });
  output.textContent += `${response.status} ${response.statusText}\n`;
  for (const name of ["ETag", "Location", "Content-Location", "Retry-After", "Allow"]) {
    if (response.headers.has(name)) {
      output.textContent += `${name}: ${response.headers.get(name)}\n`;
    }
  }
  output.textContent += "\n";
  if (response.body) {
    await readInto(response, output);
  }
}

function bodyOf(description, operation) {
  const content = Object.entries((operation.requestBody || {}).content || {})[0];
  if (!content) {
    return null;
  }
  const [type, { schema }] = content;
  const field = element("textarea", { spellcheck: false, ariaLabel: "Body" });
  field.value = JSON.stringify(example(description, schema, 0), null, 2);
  return { type, field, name: schemaName(schema) };
}

function showOperation(description, path, method, operation) {
  const given = inputs(description, operation);
  const body = bodyOf(description, operation);
  const output = element("pre", { hidden: true });
  const start = element("button", { type: "button" }, "Send");
  const stop = element("button", { type: "button", disabled: true }, "Stop");
  let controller = null;
  start.addEventListener("click", async () => {
    controller = new AbortController();
    [start.disabled, stop.disabled] = [true, false];
    try {
      await send(method, path, given, body, output, controller.signal);
    } catch (error) {
      output.textContent += `\n${error.message}`;
    }
    [start.disabled, stop.disabled] = [false, true];
  });
  stop.addEventListener("click", () => controller.abort(new Error("Stopped.")));
  const responses = Object.entries(operation.responses).map(([status, each]) => [
    element("code", {}, status),
    resolved(description, each).description,
  ]);
  const parameters = given.map(({ parameter, input }) => [
    element("code", {}, parameter.name),
    input,
    `${parameter.in}. ${parameter.description || ""}`,
  ]);
  return element(
    "details",
    {},
    element(
      "summary",
      {},
      element("code", { className: `method ${method}` }, method.toUpperCase()),
      element("code", {}, path),
      " ",
      element("span", { className: "faint" }, operation.summary),
    ),
    element(
      "div",
      {},
      parameters.length ? table(parameters) : null,
      body ? heading(`Body: ${body.name || "JSON"} (${body.type})`) : null,
      body ? body.field : null,
      element("p", {}, start, " ", stop),
      output,
      heading("Answers"),
      table(responses),
    ),
  );
}

function show(description) {
  byId("version").textContent = description.info.version;
  const groups = description.tags.map(({ name }) => {
    const section = element("section", {}, element("h2", {}, name));
    for (const [path, methods] of Object.entries(description.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        if (operation.tags.includes(name)) {
          section.append(showOperation(description, path, method, operation));
        }
      }
    }
    return section;
  });
  byId("operations").replaceChildren(...groups);
  byId("schemas").replaceChildren(
    element("h2", {}, "schemas"),
    ...Object.entries(description.components.schemas).map(([name, schema]) =>
      showSchema(name, schema),
    ),
  );
}

async function load() {
  const state = byId("state");
  state.textContent = "…";
  try {
    const response = await fetch("openapi.json", { headers: authorization(), cache: "no-store" });
    const answer = await response.json();
    if (response.ok) {
      keptToken.keep(byId("token").value.trim());
      show(answer);
    } else if (response.status === 401) {
      keptToken.forget();
    }
    state.textContent = response.ok ? "" : `${response.status}: ${answer.detail}`;
  } catch (error) {
    state.textContent = error.message;
  }
}

byId("load").addEventListener("click", load);
byId("token").addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    load();
  }
});
if (keptToken.get()) {
  load();
}
