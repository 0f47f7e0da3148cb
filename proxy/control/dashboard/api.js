// Requests to the admin API. An error has the message of the API.

export class ApiError extends Error {
  constructor(status, message, body = null) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

/** Emits `over` for every response that says the session has ended. */
export const session = new EventTarget();

const UNREACHABLE = "The gateway does not respond. Is it running?";

/** Resolves to the response; rejects with ApiError unless it is a success (status 0: no response). */
export async function send(method, path, body, { signal, headers = {} } = {}) {
  const request = { method, signal, headers: { ...headers }, cache: "no-store" };
  if (body !== undefined) {
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, request);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, UNREACHABLE);
  }
  if (!answer.ok) throw await failure(answer, path);
  return answer;
}

export async function failure(answer, path) {
  const body = await answer.json().catch(() => null);
  const error = new ApiError(answer.status, body?.error?.message ?? `The gateway responded with status ${answer.status}.`, body);
  error.retryAfter = Number(answer.headers.get("Retry-After")) || 0;
  if (answer.status === 401 && path !== "/admin/login") session.dispatchEvent(new Event("over"));
  return error;
}

export async function get(path, options) {
  return (await send("GET", path, undefined, options)).json();
}

export async function post(path, body) {
  const answer = await send("POST", path, body);
  return answer.status === 204 ? null : answer.json();
}
