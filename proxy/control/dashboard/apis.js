// The APIs that a prompt can be sent with: the request for the values of a form, and what an answer says.

/** Without undefined members. */
const defined = (value) => JSON.parse(JSON.stringify(value));

/** Criteria as headers, for the APIs whose bodies have none. */
function headersOf(criteria) {
  const given = Object.entries(criteria).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([name, value]) => [`x-router-${name.replaceAll("_", "-")}`, String(value)]));
}

const chat = {
  name: "OpenAI",
  request({ model, system, user, temperature, most, stream, criteria }) {
    const messages = [["system", system], ["user", user]].filter(([role, content]) => content || role === "user");
    const body = {
      model,
      messages: messages.map(([role, content]) => ({ role, content })),
      temperature,
      max_tokens: most,
      stream: stream || undefined,
      stream_options: stream ? { include_usage: true } : undefined,
      ...criteria,
    };
    return { path: "chat/completions", body: defined(body), headers: {} };
  },
  read({ choices, usage }) {
    const said = choices?.[0]?.delta ?? choices?.[0]?.message;
    return { content: said?.content, reasoning: said?.reasoning_content, usage: usage && { input: usage.prompt_tokens, output: usage.completion_tokens } };
  },
};

const MOST = 1024; // tokens: the Messages API requires a maximum

const messages = {
  name: "Anthropic",
  request({ model, system, user, temperature, most, stream, criteria }) {
    const body = { model, max_tokens: most ?? MOST, system: system || undefined, messages: [{ role: "user", content: user }], temperature, stream: stream || undefined };
    return { path: "messages", body: defined(body), headers: headersOf(criteria) };
  },
  read(document) {
    const parts = document.content ?? (document.delta ? [document.delta] : []);
    const of = (name) => parts.map((part) => part[name] ?? "").join("");
    return { content: of("text"), reasoning: of("thinking"), usage: defined(messagesUsage(document.message?.usage ?? document.usage ?? {})) };
  },
};

function messagesUsage({ input_tokens: input, cache_read_input_tokens: read, cache_creation_input_tokens: written, output_tokens: output }) {
  return { input: input === undefined ? undefined : input + (read ?? 0) + (written ?? 0), output };
}

const gemini = {
  name: "Google",
  request({ model, system, user, temperature, most, stream, criteria }) {
    const config = defined({ temperature, maxOutputTokens: most });
    const body = {
      contents: [{ role: "user", parts: [{ text: user }] }],
      systemInstruction: system ? { parts: [{ text: system }] } : undefined,
      generationConfig: Object.keys(config).length ? config : undefined,
    };
    const method = stream ? "streamGenerateContent" : "generateContent";
    return { path: `models/${[model].flat().join(",")}:${method}`, body: defined(body), headers: headersOf(criteria) };
  },
  read({ candidates, usageMetadata: usage }) {
    const parts = candidates?.[0]?.content?.parts ?? [];
    const of = (thought) => parts.filter((part) => Boolean(part.thought) === thought).map((part) => part.text ?? "").join("");
    return { content: of(false), reasoning: of(true), usage: usage && { input: usage.promptTokenCount, output: (usage.candidatesTokenCount ?? 0) + (usage.thoughtsTokenCount ?? 0) } };
  },
};

/** By the value of the form's control. */
export const APIS = { chat, messages, gemini };

/** The provider whose API an endpoint belongs to, by the dialect of a request; "" for none. */
export const apiName = (dialect) => ({ openai: chat, anthropic: messages, gemini })[dialect.split(".")[0]]?.name ?? "";
