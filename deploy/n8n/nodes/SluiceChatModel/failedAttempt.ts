/** When LangChain repeats a request. */

interface FailedAttempt {
	headers?: { get?(name: string): string | null };
	retriesLeft?: number;
}

/**
 * For `onFailedAttempt` of n8n's SDK: throw the error to end the attempts, as the gateway advises with
 * `x-should-retry: false`. The SDK also ends them if `retriesLeft` is missing, and LangChain 1.4 does not set it.
 * LangChain counts itself, so any number above 0 will do.
 */
export function onFailedAttempt(error: unknown): void {
	const failed = error as FailedAttempt;
	if (failed.headers?.get?.('x-should-retry') === 'false') throw error;
	failed.retriesLeft ??= 1;
}
