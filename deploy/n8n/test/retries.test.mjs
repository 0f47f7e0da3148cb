/** Which requests are sent again, and when. */

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';

const require = createRequire(import.meta.url);
const { retryAfter, withRetries } = require('../dist/nodes/shared/retries.js');

const answer = (statusCode, headers = {}) => ({ statusCode, headers, body: {} });

/** Sends the outcomes in order, the last one again and again. Returns status or message, requests and pauses. */
async function run(outcomes, retries = 3, stopped = undefined, interrupt = false) {
	let sent = 0;
	const pauses = [];
	const send = async () => {
		const outcome = outcomes[Math.min(sent++, outcomes.length - 1)];
		if (outcome instanceof Error) throw outcome;
		return outcome;
	};
	const pause = async (ms) => {
		pauses.push(ms);
		if (interrupt) throw new Error('canceled');
	};
	const result = await withRetries(send, retries, pause, stopped).then(
		({ statusCode }) => statusCode,
		({ message }) => message,
	);
	return { result, sent, pauses };
}

describe('a request', () => {
	it('is repeated after 429, 5xx and errors of the connection, with longer pauses', async () => {
		const outcomes = [answer(429), new Error('reset'), answer(503), answer(200)];
		assert.deepEqual(await run(outcomes), { result: 200, sent: 4, pauses: [500, 1000, 2000] });
	});

	it('is not repeated after other errors', async () => {
		for (const status of [400, 404, 501])
			assert.deepEqual(await run([answer(status)]), { result: status, sent: 1, pauses: [] });
	});

	it('follows x-should-retry', async () => {
		assert.equal((await run([answer(503, { 'x-should-retry': 'false' })])).sent, 1);
		assert.equal((await run([answer(400, { 'x-should-retry': 'true' }), answer(200)])).result, 200);
	});

	it('waits as Retry-After says, and not for more than a minute', async () => {
		assert.deepEqual((await run([answer(429, { 'retry-after': '7' }), answer(200)])).pauses, [
			7000,
		]);
		assert.deepEqual(await run([answer(429, { 'retry-after': '61' })]), {
			result: 429,
			sent: 1,
			pauses: [],
		});
	});

	it('reads Retry-After as seconds or as a date', () => {
		assert.equal(retryAfter(' 1.5 '), 1500);
		assert.equal(retryAfter('Wed, 21 Oct 2015 07:28:00 GMT'), 0); // in the past
		assert.ok(retryAfter('Fri, 01 Jan 2100 00:00:00 GMT') > 1e12);
		for (const header of [undefined, '', 'soon']) assert.equal(retryAfter(header), undefined);
	});

	it('returns the last failure', async () => {
		assert.deepEqual(await run([answer(500)], 1), { result: 500, sent: 2, pauses: [500] });
		assert.equal((await run([new Error('refused')], 0)).result, 'refused');
	});

	it('is not repeated once the workflow was canceled', async () => {
		assert.deepEqual(await run([new Error('canceled')], 3, () => true), {
			result: 'canceled',
			sent: 1,
			pauses: [],
		});
		assert.equal((await run([answer(503)], 3, () => true)).sent, 1);
		assert.deepEqual(await run([answer(503)], 3, undefined, true), {
			result: 'canceled',
			sent: 1,
			pauses: [500],
		});
	});
});
