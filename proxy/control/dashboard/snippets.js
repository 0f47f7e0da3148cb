// The same request as a curl command and as a Python program, with a placeholder for the key.

const KEY = "YOUR_API_KEY";

const quoted = (words) => `'${words.replaceAll("'", "'\\''")}'`;

export function curl(body, origin) {
  return [
    `curl ${body.stream ? "-N " : ""}${origin}/v1/chat/completions \\`,
    `  -H 'Authorization: Bearer ${KEY}' \\`,
    `  -H 'Content-Type: application/json' \\`,
    `  -d ${quoted(JSON.stringify(body, null, 2))}`,
  ].join("\n");
}

/** A value as a Python literal. */
function python(value, indent = "    ") {
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const deeper = `${indent}    `;
  const inner = Array.isArray(value) ? value.map((each) => python(each, deeper)) : Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${python(each, deeper)}`);
  const [left, right] = Array.isArray(value) ? "[]" : "{}";
  const line = left + inner.join(", ") + right;
  return line.length <= 80 ? line : `${left}\n${inner.map((each) => `${deeper}${each},\n`).join("")}${indent}${right}`;
}

const KNOWN = ["model", "messages", "temperature", "max_tokens", "stream", "stream_options"];

export function openai(body, origin) {
  const model = Array.isArray(body.model) ? body.model[0] : body.model;
  const extra = Object.fromEntries(Object.entries(body).filter(([name]) => !KNOWN.includes(name)));
  if (model !== body.model) extra.model = body.model;
  const named = Object.entries({ ...body, model }).filter(([name]) => KNOWN.includes(name));
  const lines = named.map(([name, value]) => `    ${name}=${python(value)},`);
  if (Object.keys(extra).length) lines.push(`    extra_body=${python(extra)},`);
  const rest = body.stream
    ? ["for chunk in answer:", "    if chunk.choices:", '        print(chunk.choices[0].delta.content or "", end="", flush=True)']
    : ["print(answer.choices[0].message.content)"];
  return ["from openai import OpenAI", "", `client = OpenAI(base_url="${origin}/v1", api_key="${KEY}")`, "answer = client.chat.completions.create(", ...lines, ")", ...rest].join("\n");
}
