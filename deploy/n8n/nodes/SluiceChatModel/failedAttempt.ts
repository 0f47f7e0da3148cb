/** When LangChain repeats a request, and the error if it does not. */

import type { INode } from 'n8n-workflow';

import { apiError } from '../shared/errors';
import { MOST_WAIT_MS, retryAfter } from '../shared/retries';

/** An error of the openai SDK. `status` is missing where no response came. `error` is that of the body. */
interface FailedAttempt {
	status?: number;
	headers?: { get?(name: string): string | null };
	error?: unknown;
	retriesLeft?: number;
	retryAfterMs?: number;
}

/** Statuses that n8n's SDK does not repeat either. It would replace the words of the gateway. */
const FINAL = new Set([400, 401, 402, 403, 404, 405, 406, 407, 409, 413, 422, 501]);

/**
 * For `onFailedAttempt` of n8n's SDK: throws to end the attempts, else has LangChain wait as long as `Retry-After`
 * says. The SDK also ends them if `retriesLeft` is missing, and LangChain 1.4 does not set it. LangChain counts
 * itself, so any number above 0 will do.
 */
export function failedAttempts(node: INode): (error: unknown) => void {
	return (error) => {
		const failed = error as FailedAttempt;
		const header = (name: string) => failed.headers?.get?.(name) ?? undefined;
		const wait = retryAfter(header('retry-after'));
		const isFinal = header('x-should-retry') === 'false' || FINAL.has(failed.status ?? 0);
		if (failed.status && (isFinal || (wait ?? 0) > MOST_WAIT_MS)) {
			throw apiError(node, {
				statusCode: failed.status,
				headers: { 'x-request-id': header('x-request-id') },
				body: { error: failed.error },
			});
		}
		failed.retryAfterMs = wait;
		failed.retriesLeft ??= 1;
	};
}
