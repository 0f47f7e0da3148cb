/** The chat model that the node supplies: n8n's own LangChain, against a server that records requests. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { lookup } from 'node:dns';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { after, before, beforeEach, describe, it } from 'node:test';

const require = createRequire(import.meta.url);
const { failedAttempts } = require('../dist/nodes/SluiceChatModel/failedAttempt.js');
const { SluiceChatModel } = require('../dist/nodes/SluiceChatModel/SluiceChatModel.node.js');

const USAGE = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 };
const CALL = { id: 'call_1', type: 'function', function: { name: 'add', arguments: '{"a":1}' } };
const TOOL = {
	type: 'function',
	function: { name: 'add', parameters: { type: 'object', properties: {} } },
};

/** n8n's filter of addresses that workflows may call: here all. */
const EGRESS = { createSecureLookup: () => lookup, validateUrl: async () => ({ ok: true }) };

let requests;
let failures; // requests to answer with an error
let failure; // such a response: status, headers and body
let silent; // called for each request, which is left without an answer

const server = createServer(async (request, response) => {
	let text = '';
	for await (const piece of request) text += piece;
	const body = JSON.parse(text);
	requests.push({ body, headers: request.headers, path: request.url });
	if (silent) {
		silent(once(response, 'close'));
	} else if (failures-- > 0) {
		response.writeHead(failure.status, { 'content-type': 'application/json', ...failure.headers });
		response.end(failure.body);
	} else if (body.stream) {
		response.writeHead(200, { 'content-type': 'text/event-stream' });
		const send = (data) =>
			response.write(
				`data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', model: 'm', ...data })}\n\n`,
			);
		for (const content of ['Hel', 'lo'])
			send({ choices: [{ index: 0, delta: { role: 'assistant', content } }] });
		send({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
		send({ choices: [], usage: USAGE });
		response.end('data: [DONE]\n\n');
	} else {
		const message = body.tools
			? { role: 'assistant', content: null, tool_calls: [CALL] }
			: { role: 'assistant', content: 'Hello' };
		const choices = [{ index: 0, message, finish_reason: body.tools ? 'tool_calls' : 'stop' }];
		response.writeHead(200, { 'content-type': 'application/json' });
		response.end(
			JSON.stringify({ id: 'c', object: 'chat.completion', model: 'm', choices, usage: USAGE }),
		);
	}
});

/** What n8n hands to the node, as far as the node and n8n's SDK use it. */
function context(parameters, credentials = {}) {
	const node = { name: 'Sluice Chat Model', type: 'sluiceChatModel', typeVersion: 1, parameters };
	return {
		getNode: () => node,
		getNodeParameter: (name, _item, fallback) => parameters[name] ?? fallback,
		getCredentials: async () => ({
			url: `http://127.0.0.1:${server.address().port}/v1/`,
			apiKey: 'sk-1',
			...credentials,
		}),
		helpers: { getSecureEgressFilter: () => EGRESS },
		addInputData: () => ({ index: 0 }),
		addOutputData: () => {},
		getNextRunIndex: () => 0,
		logger: { debug() {}, error() {}, info() {}, warn() {} },
		logAiEvent: () => {},
		setMetadata: () => {},
	};
}

async function supply(parameters, credentials) {
	const { response } = await new SluiceChatModel().supplyData.call(
		context(parameters, credentials),
		0,
	);
	return response;
}

describe('the chat model', () => {
	before(async () => {
		server.listen(0, '127.0.0.1');
		await once(server, 'listening');
	});

	beforeEach(() => {
		requests = [];
		failures = 0;
		failure = {
			status: 503,
			headers: {},
			body: '{"error": {"message": "No model is available.", "code": "service_unavailable"}}',
		};
		silent = undefined;
	});

	after(() => {
		server.closeAllConnections();
		server.close();
	});

	it('sends models, filters and parameters, and reads the usage', async () => {
		const model = await supply({
			selection: 'several',
			models: { model: [{ name: 'gpt-5' }, { name: 'b' }] },
			thenAuto: true,
			filters: { tags: 'code', minSuccessRate: 0.5 },
			options: {
				temperature: 0,
				maxTokens: 10,
				stop: ['\n'],
				seed: 3,
				run: '42',
				labels: 'team=Zürich',
				cache: 'refresh',
				runBudget: 0.5,
			},
		});
		const answer = await model.invoke('Hi');
		assert.equal(answer.content, 'Hello');
		assert.equal(answer.usage_metadata.total_tokens, 7);
		const [{ body, headers, path }] = requests;
		assert.equal(path, '/v1/chat/completions');
		assert.deepEqual(body, {
			model: ['gpt-5', 'b', 'auto'],
			messages: [{ role: 'user', content: 'Hi' }],
			stream: false,
			tags: ['code'],
			min_success_rate: 0.5,
			temperature: 0,
			max_tokens: 10,
			stop: ['\n'],
			seed: 3,
		});
		assert.equal(headers.authorization, 'Bearer sk-1');
		assert.equal(headers['x-router-run'], '42');
		assert.equal(Buffer.from(headers['x-router-labels'], 'latin1').toString('utf8'), 'team=Zürich');
		assert.equal(headers['x-router-cache'], 'refresh');
		assert.equal(headers['x-router-budget-usd'], '0.5');
	});

	it('works without a key and without any option', async () => {
		const model = await supply({ selection: 'auto' }, { apiKey: '' });
		await model.invoke('Hi');
		assert.deepEqual(requests[0].body, {
			model: 'auto',
			messages: [{ role: 'user', content: 'Hi' }],
			stream: false,
		});
		assert.deepEqual(
			Object.keys(requests[0].headers).filter((name) => name.startsWith('x-router-')),
			[],
		);
	});

	it('calls tools, also with several models', async () => {
		const model = await supply({ selection: 'one', model: ['a', 'b'] });
		const answer = await model.bindTools([TOOL]).invoke('Add');
		assert.deepEqual(
			answer.tool_calls.map(({ name, args }) => [name, args]),
			[['add', { a: 1 }]],
		);
		assert.deepEqual(requests[0].body.model, ['a', 'b']);
		assert.equal(requests[0].body.tools[0].function.name, 'add');
	});

	it('streams where the workflow does', async () => {
		const model = await supply({ selection: 'one', model: 'a' });
		const pieces = [];
		for await (const piece of await model.stream('Hi')) pieces.push(piece);
		assert.equal(pieces.map(({ content }) => content).join(''), 'Hello');
		assert.equal(
			pieces.findLast(({ usage_metadata }) => usage_metadata).usage_metadata.total_tokens,
			7,
		);
		assert.deepEqual(requests[0].body.stream_options, { include_usage: true });
	});

	it('does not stream if that is turned off', async () => {
		const model = await supply({ selection: 'one', model: 'a', options: { streaming: false } });
		for await (const piece of await model.stream('Hi')) assert.equal(piece.content, 'Hello');
		assert.equal(requests[0].body.stream, false);
	});

	it('repeats a failed request as often as the option says', async () => {
		failures = 1;
		const model = await supply({ selection: 'one', model: 'a', options: { maxRetries: 1 } });
		assert.equal((await model.invoke('Hi')).content, 'Hello');
		assert.equal(requests.length, 2);
		failures = 1;
		const once = await supply({ selection: 'one', model: 'a', options: { maxRetries: 0 } });
		await assert.rejects(once.invoke('Hi'), /No model is available/);
		assert.equal(requests.length, 3);
	});

	it('does not repeat a request if the gateway advises against it', async () => {
		failures = 1;
		failure.headers = { 'x-should-retry': 'false', 'x-request-id': 'r1' };
		const model = await supply({ selection: 'one', model: 'a' });
		await assert.rejects(model.invoke('Hi'), (error) => {
			assert.equal(error.message, 'No model is available.');
			assert.equal(error.description, 'Code: service_unavailable. Request: r1.');
			assert.equal(error.httpCode, '503');
			return error.name === 'NodeApiError';
		});
		assert.equal(requests.length, 1);
	});

	it('has the words of the gateway for what is not repeated, and no cause of the SDK', async () => {
		const error = { message: 'The model does not exist.', code: 'insufficient_quota' };
		for (const status of [400, 401, 402, 403, 404, 413, 422]) {
			requests = [];
			failures = 1;
			failure = { status, headers: {}, body: JSON.stringify({ error }) };
			const model = await supply({ selection: 'one', model: 'a' });
			await assert.rejects(model.invoke('Hi'), ({ message, httpCode, cause }) => {
				assert.deepEqual([message, httpCode], ['The model does not exist.', String(status)]);
				return !cause?.status;
			});
			assert.equal(requests.length, 1);
		}
	});

	it('shows the status of a proxy that answers with a page', async () => {
		failures = 1;
		failure = { status: 403, headers: { 'content-type': 'text/html' }, body: '<html>Denied' };
		const model = await supply({ selection: 'one', model: 'a' });
		await assert.rejects(model.invoke('Hi'), /responded with status 403/);
	});

	it('ends the request when the workflow is canceled', async () => {
		const model = await supply({ selection: 'one', model: 'a' });
		const canceling = new AbortController();
		let closed;
		silent = (ended) => {
			closed = ended;
			canceling.abort();
		};
		await assert.rejects(model.invoke('Hi', { signal: canceling.signal }));
		await closed;
		assert.equal(requests.length, 1);
	});

	it('ends the request after the timeout', async () => {
		let closed;
		silent = (ended) => (closed = ended);
		const options = { timeout: 20, maxRetries: 0 };
		const model = await supply({ selection: 'one', model: 'a', options });
		await assert.rejects(model.invoke('Hi'), /timed out/i);
		await closed;
	});

	it('names the parameter that is wrong', async () => {
		await assert.rejects(supply({ selection: 'one', model: '' }), /Model: choose a model/);
		await assert.rejects(
			supply({ selection: 'auto', options: { additional: '{' } }),
			/Additional Parameters/,
		);
		await assert.rejects(supply({ selection: 'auto', options: { timeout: 'long' } }), /Timeout/);
	});
});

describe('a failed attempt', () => {
	const failed = (status, headers) => ({ status, headers: new Headers(headers), error: {} });
	const handle = failedAttempts({ name: 'Sluice Chat Model', type: 'sluiceChatModel' });

	it('waits as Retry-After says, and not for more than a minute', () => {
		const error = failed(429, { 'retry-after': '7' });
		handle(error);
		assert.deepEqual([error.retryAfterMs, error.retriesLeft], [7000, 1]);
		assert.throws(() => handle(failed(429, { 'retry-after': '61' })), { httpCode: '429' });
	});

	it('of the connection is repeated', () => {
		const error = new Error('reset');
		handle(error);
		assert.deepEqual([error.retryAfterMs, error.retriesLeft], [undefined, 1]);
	});
});
