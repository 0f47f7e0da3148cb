// Calls the gateway with the JavaScript SDKs: `node sdks.mjs NODE_MODULES`. Each line of stdin is a JSON object
// {sdk, url, key, model, streamed, tool}, and is answered by a line of JSON with the outcome. With a `tool` the model may
// call the function of that name, until it answers with text. The function returns `result`.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(`${process.argv[2]}/`);
const { default: Anthropic } = require("@anthropic-ai/sdk");
const { GoogleGenAI } = require("@google/genai");
const { default: OpenAI } = require("openai");

const PROMPT = "What does the note say?";
const SCHEMA = { type: "object", properties: { path: { type: "string" } }, required: ["path"] };

async function anthropic({ url, key, model, streamed, tool, result }, seen) {
  const client = new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0 });
  const messages = [{ role: "user", content: PROMPT }];
  const tools = tool ? [{ name: tool, input_schema: SCHEMA }] : undefined;
  for (;;) {
    const call = { model, max_tokens: 9000, messages, tools, thinking: { type: "adaptive" } };
    const message = streamed
      ? await client.messages.stream(call).on("text", (text) => seen.pieces.push(text)).finalMessage()
      : await client.messages.create(call);
    seen.usage.push([message.usage.input_tokens, message.usage.output_tokens]);
    const calls = message.content.filter((block) => block.type === "tool_use");
    seen.calls.push(...calls.map((block) => [block.name, block.input]));
    if (message.stop_reason !== "tool_use") {
      return [message.content.map((block) => block.text ?? "").join(""), message.stop_reason];
    }
    const results = calls.map((block) => ({ type: "tool_result", tool_use_id: block.id, content: result }));
    messages.push({ role: "assistant", content: message.content }, { role: "user", content: results });
  }
}

async function google({ url, key, model, streamed, tool, result }, seen) {
  const client = new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: url } });
  const contents = [{ role: "user", parts: [{ text: PROMPT }] }];
  const config = tool ? { tools: [{ functionDeclarations: [{ name: tool, parametersJsonSchema: SCHEMA }] }] } : {};
  for (;;) {
    const parts = [];
    let last;
    const call = { model, contents, config };
    for await (const chunk of streamed
      ? await client.models.generateContentStream(call)
      : [await client.models.generateContent(call)]) {
      last = chunk;
      const found = chunk.candidates?.[0]?.content?.parts ?? [];
      parts.push(...found);
      const text = found.filter((part) => !part.thought).map((part) => part.text ?? "").join("");
      if (streamed && text) seen.pieces.push(text);
    }
    const usage = last.usageMetadata;
    seen.usage.push([usage.promptTokenCount, usage.candidatesTokenCount + usage.thoughtsTokenCount]);
    const calls = parts.filter((part) => part.functionCall).map((part) => part.functionCall);
    seen.calls.push(...calls.map((each) => [each.name, each.args]));
    if (!calls.length) {
      const text = parts.filter((part) => !part.thought).map((part) => part.text ?? "").join("");
      return [text, last.candidates?.[0]?.finishReason ?? null];
    }
    const results = calls.map(({ id, name }) => ({ functionResponse: { id, name, response: { output: result } } }));
    contents.push({ role: "model", parts }, { role: "user", parts: results });
  }
}

async function responses({ url, key, model, streamed, tool, result }, seen) {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });
  const input = [{ type: "message", role: "user", content: PROMPT }];
  const tools = tool ? [{ type: "function", name: tool, parameters: SCHEMA, strict: false }] : undefined;
  for (;;) {
    const call = { model, input, tools, store: false, include: ["reasoning.encrypted_content"] };
    const response = streamed
      ? await client.responses
          .stream(call)
          .on("response.output_text.delta", (event) => seen.pieces.push(event.delta))
          .finalResponse()
      : await client.responses.create(call);
    seen.usage.push([response.usage.input_tokens, response.usage.output_tokens]);
    const calls = response.output.filter((item) => item.type === "function_call");
    seen.calls.push(...calls.map((item) => [item.name, JSON.parse(item.arguments)]));
    if (!calls.length) return [response.output_text, response.status];
    for (const { parsed_arguments, ...item } of response.output) input.push(item);
    input.push(...calls.map(({ call_id }) => ({ type: "function_call_output", call_id, output: result })));
  }
}

async function chat({ url, key, model, streamed, tool, result }, seen) {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });
  const messages = [{ role: "user", content: PROMPT }];
  const tools = tool ? [{ type: "function", function: { name: tool, parameters: SCHEMA } }] : undefined;
  for (;;) {
    const call = { model, messages, tools };
    const completion = streamed
      ? await client.chat.completions
          .stream({ ...call, stream_options: { include_usage: true } })
          .on("content", (text) => seen.pieces.push(text))
          .finalChatCompletion()
      : await client.chat.completions.create(call);
    seen.usage.push([completion.usage.prompt_tokens, completion.usage.completion_tokens]);
    const { message, finish_reason } = completion.choices[0];
    const calls = message.tool_calls ?? [];
    seen.calls.push(...calls.map((each) => [each.function.name, JSON.parse(each.function.arguments)]));
    if (!calls.length) return [message.content, finish_reason];
    messages.push(message, ...calls.map(({ id }) => ({ role: "tool", tool_call_id: id, content: result })));
  }
}

const SDKS = { anthropic, google, responses, chat };

for await (const line of createInterface({ input: process.stdin })) {
  const call = JSON.parse(line);
  const seen = { pieces: [], calls: [], usage: [], text: null, finish: null, error: null };
  try {
    [seen.text, seen.finish] = await SDKS[call.sdk](call, seen);
  } catch (error) {
    const { status = null, message } = error;
    seen.error = { name: error.constructor.name, status, message: String(message) };
  }
  process.stdout.write(`${JSON.stringify(seen)}\n`);
}
