/** When a request is sent again. */

export const MOST_WAIT_MS = 60_000; // a longer Retry-After is not waited for
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
 * 429, 5xx but 501, and errors of the connection. `stopped` says whether the workflow was canceled. `pause` takes
 * milliseconds, and throws when the workflow is canceled.
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
			if (last || stopped() || !repeatable(sent.value)) return sent.value;
			wait = retryAfter(sent.value.headers['retry-after']) ?? wait;
			if (wait > MOST_WAIT_MS) return sent.value;
		}
		await pause(wait);
	}
}

function repeatable({ statusCode, headers }: Answer): boolean {
	const advice = String(headers['x-should-retry'] ?? '');
	if (advice === 'true' || advice === 'false') return advice === 'true';
	return [408, 409, 429].includes(statusCode) || (statusCode >= 500 && statusCode !== 501);
}

/** The header in milliseconds from now: seconds, or a date; `undefined` without it (RFC 9110, section 10.2.3). */
export function retryAfter(header: unknown): number | undefined {
	const text = String(header ?? '').trim();
	if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
	const date = Date.parse(text);
	return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}
