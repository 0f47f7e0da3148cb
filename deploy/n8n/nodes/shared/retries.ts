/** When a request is sent again. */

const MOST_WAIT_MS = 60_000; // a longer Retry-After is not waited for
const FIRST_WAIT_MS = 500;
const LONGEST_BACKOFF_MS = 8_000;

/** A response of any status. The names of headers are in lower case. */
export interface Answer {
	statusCode: number;
	headers: Record<string, unknown>;
	body: unknown;
}

/**
 * Send up to `retries` times more. The gateway decides with `x-should-retry`; without it, these are repeated: 408, 409,
 * 429, 5xx, and errors of the connection. `stopped` says whether the workflow was canceled. `pause` takes milliseconds.
 *
 * Returns the last response; throws the last error of a connection.
 */
export async function withRetries(
	send: () => Promise<Answer>,
	retries: number,
	pause: (ms: number) => Promise<void>,
	stopped: () => boolean = () => false,
): Promise<Answer> {
	for (let attempt = 0; ; attempt++) {
		const last = attempt >= retries;
		let wait = Math.min(FIRST_WAIT_MS * 2 ** attempt, LONGEST_BACKOFF_MS);
		const [sent] = await Promise.allSettled([send()]);
		if (sent.status === 'rejected') {
			if (last || stopped()) throw sent.reason;
		} else {
			if (last || !repeatable(sent.value)) return sent.value;
			wait = retryAfter(sent.value) ?? wait;
			if (wait > MOST_WAIT_MS) return sent.value;
		}
		await pause(wait);
	}
}

function repeatable({ statusCode, headers }: Answer): boolean {
	const advice = String(headers['x-should-retry'] ?? '');
	if (advice === 'true' || advice === 'false') return advice === 'true';
	return [408, 409, 429].includes(statusCode) || statusCode >= 500;
}

/** In milliseconds; `undefined` without the header. */
function retryAfter({ headers }: Answer): number | undefined {
	const text = String(headers['retry-after'] ?? '');
	return /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : undefined;
}
