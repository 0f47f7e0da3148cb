// The same request as a curl command and as a Python program, with a placeholder for the key.

const KEY = "YOUR_API_KEY";

const quoted = (words) => `'${words.replaceAll("'", "'\\''")}'`;

/** The URL and the header lines of a request, by its API. */
const CALLS = {
  chat: ({ path }) => [`/v1/${path}`, `Authorization: Bearer ${KEY}`],
  messages: ({ path }) => [`/v1/${path}`, `x-api-key: ${KEY}`, "anthropic-version: 2023-06-01"],
  gemini: ({ path, stream }) => [`/v1beta/${path}${stream ? "?alt=sse" : ""}`, `x-goog-api-key: ${KEY}`],
};

export function curl(request, origin) {
  const [path, ...own] = CALLS[request.api](request);
  const lines = [...own, "Content-Type: application/json", ...Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`)];
  return [
    `curl ${request.stream ? "-N " : ""}${quoted(origin + path)} \\`,
    ...lines.map((line) => `  -H ${quoted(line)} \\`),
    `  -d ${quoted(JSON.stringify(request.body, null, 2))}`,
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

/** The request as a Python program with the package of its API. */
export const program = (request, origin) => PROGRAMS[request.api](request, origin);

function openai({ body }, origin) {
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

function anthropic({ body, headers, stream }, origin) {
  const { stream: _, ...members } = body;
  const lines = Object.entries(members).map(([name, value]) => `    ${name}=${python(value)},`);
  if (Object.keys(headers).length) lines.push(`    extra_headers=${python(headers)},`);
  const call = stream
    ? ["with client.messages.stream(", ...lines, ") as stream:", "    for text in stream.text_stream:", '        print(text, end="", flush=True)']
    : ["answer = client.messages.create(", ...lines, ")", 'print("".join(block.text for block in answer.content if block.type == "text"))'];
  return ["from anthropic import Anthropic", "", `client = Anthropic(base_url="${origin}", api_key="${KEY}")`, ...call].join("\n");
}

function google({ path, body, headers, stream }, origin) {
  const options = { base_url: origin, ...(Object.keys(headers).length ? { headers } : {}) };
  const config = { ...(body.systemInstruction ? { system_instruction: body.systemInstruction.parts[0].text } : {}), ...body.generationConfig };
  const lines = [`    model=${python(path.slice("models/".length, path.lastIndexOf(":")))},`, `    contents=${python(body.contents[0].parts[0].text)},`];
  if (Object.keys(config).length) lines.push(`    config=${python(config)},`);
  const call = stream
    ? ["for chunk in client.models.generate_content_stream(", ...lines, "):", '    print(chunk.text or "", end="", flush=True)']
    : ["answer = client.models.generate_content(", ...lines, ")", "print(answer.text)"];
  return ["from google import genai", "", `client = genai.Client(api_key="${KEY}", http_options=${python(options)})`, ...call].join("\n");
}

const PROGRAMS = { chat: openai, messages: anthropic, gemini: google };
