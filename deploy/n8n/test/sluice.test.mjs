/** The node Sluice, and its credentials: requests that it makes of items, and items that it makes of responses. */

import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';

const require = createRequire(import.meta.url);
const { SluiceApi } = require('../dist/credentials/SluiceApi.credentials.js');
const { Sluice } = require('../dist/nodes/Sluice/Sluice.node.js');

const USAGE = { prompt_tokens: 1, total_tokens: 1 };
const ROUTER = { provider: 'demo', model_name: 'demo', attempts: 1, cost_usd: null };
const CHAT = {
	model: 'demo',
	choices: [{ message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }],
	usage: USAGE,
	_router: ROUTER,
};
const HI = { message: [{ role: 'user', content: 'Hi' }] };

/** Runs the node for one item or for the parameters of several. Returns items and requests. */
async function run(parameters, respond, { items = 1, continueOnFail = false, signal } = {}) {
	const requests = [];
	const at = (item) => (Array.isArray(parameters) ? parameters[item] : parameters);
	const context = {
		getInputData: () => Array.from({ length: items }, () => ({ json: {} })),
		getNode: () => ({ name: 'Sluice', type: 'sluice', typeVersion: 1, parameters: {} }),
		getNodeParameter: (name, item, fallback) => at(item)[name] ?? fallback,
		getCredentials: async () => ({ url: 'http://gateway/v1/', apiKey: 'sk-1' }),
		getExecutionCancelSignal: () => signal,
		continueOnFail: () => continueOnFail,
		helpers: {
			async httpRequestWithAuthentication(credentials, options) {
				requests.push({ credentials, ...options });
				const answer = respond(options);
				if (typeof answer === 'string') return { statusCode: 200, headers: {}, body: answer };
				const { statusCode = 200, headers = {}, ...body } = answer;
				return { statusCode, headers, body };
			},
		},
	};
	const [found] = await new Sluice().execute.call(context);
	return { items: found, requests };
}

describe('chat', () => {
	const chat = { operation: 'chat', selection: 'one', model: 'demo', messages: HI };

	it('returns text, usage and _router', async () => {
		const { items, requests } = await run(
			{ ...chat, filters: { preferFast: true }, options: { temperature: 0, run: '7', timeout: 5 } },
			() => CHAT,
		);
		assert.deepEqual(items, [
			{
				json: { text: 'Hello', finishReason: 'stop', model: 'demo', usage: USAGE, _router: ROUTER },
				pairedItem: { item: 0 },
			},
		]);
		const [{ credentials, method, url, body, headers, timeout }] = requests;
		assert.deepEqual(
			[credentials, method, url],
			['sluiceApi', 'POST', 'http://gateway/v1/chat/completions'],
		);
		assert.deepEqual(body, {
			model: 'demo',
			prefer_fast: true,
			temperature: 0,
			messages: [{ role: 'user', content: 'Hi' }],
		});
		assert.deepEqual([headers, timeout], [{ 'x-router-metadata': 'true', 'x-router-run': '7' }, 5]);
	});

	it('uses the cache as the option says, and says what it did', async () => {
		const { items, requests } = await run({ ...chat, options: { cache: 'only' } }, () => ({
			...CHAT,
			headers: { 'x-router-cache': 'hit' },
		}));
		assert.equal(requests[0].headers['x-router-cache'], 'only');
		assert.equal(items[0].json.cache, 'hit');
	});

	it('ends the request, or the pause before the next, when the workflow is canceled', async () => {
		const canceling = new AbortController();
		const busy = ({ abortSignal }) => {
			assert.equal(abortSignal, canceling.signal);
			setImmediate(() => canceling.abort());
			return { statusCode: 503, error: { message: 'busy' } };
		};
		await assert.rejects(run(chat, busy, { signal: canceling.signal }), /abort/);
	});

	it('leaves no listener at the signal of the workflow', async () => {
		const { signal } = new AbortController();
		const answers = [{ statusCode: 503, headers: { 'retry-after': '0' }, error: {} }, CHAT];
		await run(chat, () => answers.shift(), { signal });
		assert.deepEqual(getEventListeners(signal, 'abort'), []);
	});

	it('returns the whole response if it is not simplified', async () => {
		const { items } = await run({ ...chat, simplify: false }, () => CHAT);
		assert.deepEqual(items[0].json, CHAT);
	});

	it('takes a conversation as JSON', async () => {
		const messagesJson = '[{"role": "tool", "tool_call_id": "c", "content": "1"}]';
		const { requests } = await run({ ...chat, input: 'json', messagesJson }, () => CHAT);
		assert.equal(requests[0].body.messages[0].tool_call_id, 'c');
	});
});

describe('embeddings', () => {
	it('return vectors, usage and _router', async () => {
		const parameters = {
			operation: 'embeddings',
			selection: 'auto',
			text: ['a', 'b'],
			embeddingOptions: { dimensions: 2 },
		};
		const data = [
			{ index: 0, embedding: [1, 0] },
			{ index: 1, embedding: [0, 1] },
		];
		const { items, requests } = await run(parameters, () => ({
			model: 'e',
			data,
			usage: USAGE,
			_router: ROUTER,
		}));
		const vectors = [
			[1, 0],
			[0, 1],
		];
		assert.deepEqual(items[0].json, {
			embeddings: vectors,
			model: 'e',
			usage: USAGE,
			_router: ROUTER,
		});
		const body = { model: 'auto', input: ['a', 'b'], dimensions: 2, encoding_format: 'float' };
		assert.deepEqual([requests[0].url, requests[0].body], ['http://gateway/v1/embeddings', body]);
	});
});

describe('models and balance', () => {
	it('are read from the gateway', async () => {
		const list = {
			data: [
				{ id: 'a', owned_by: 'demo' },
				{ id: 'b', owned_by: 'demo' },
			],
			models: [],
		};
		const models = await run({ operation: 'models' }, () => list);
		assert.deepEqual(
			models.items.map(({ json }) => json.id),
			['a', 'b'],
		);
		assert.deepEqual(
			[models.requests[0].method, models.requests[0].url],
			['GET', 'http://gateway/v1/models'],
		);
		const account = { user_id: 'alice', balance: 25, currency: 'USD' };
		const balance = await run({ operation: 'balance' }, () => account);
		assert.deepEqual(balance.items[0].json, account);
		assert.equal(balance.requests[0].url, 'http://gateway/billing/balance');
	});
});

describe('an error', () => {
	const refused = () => ({ statusCode: 404, error: { message: 'The model does not exist.' } });
	const chat = { operation: 'chat', selection: 'one', model: 'none', messages: HI };

	it('has the words of the gateway, the status and the item', async () => {
		await assert.rejects(run(chat, refused), (error) => {
			assert.equal(error.message, 'The model does not exist.');
			assert.equal(error.httpCode, '404');
			assert.equal(error.context.itemIndex, 0);
			return error.name === 'NodeApiError';
		});
	});

	it('becomes an item if the workflow goes on', async () => {
		const parameters = [{ ...chat, model: '' }, chat, { operation: 'balance' }];
		const { items } = await run(parameters, ({ body }) => (body ? refused() : { balance: 1 }), {
			items: 3,
			continueOnFail: true,
		});
		assert.deepEqual(items, [
			{
				json: { error: 'Model: choose a model, or set Models to Automatic.' },
				pairedItem: { item: 0 },
			},
			{ json: { error: 'The model does not exist.' }, pairedItem: { item: 1 } },
			{ json: { balance: 1 }, pairedItem: { item: 2 } },
		]);
	});

	it('says that the address is not that of a gateway', async () => {
		for (const operation of ['chat', 'models', 'balance'])
			await assert.rejects(
				run({ ...chat, operation }, () => '<html>'),
				/not JSON/,
			);
	});

	it('of a parameter stops the workflow', async () => {
		await assert.rejects(run({ ...chat, model: '' }, refused), /Model: choose a model/);
	});
});

describe('the lists of the editor', () => {
	it('are loaded from the gateway', async () => {
		const list = {
			data: [{ id: 'e', owned_by: 'one' }],
			models: [{ name: 'e', provider: 'one', type: 'embedding' }],
		};
		const context = {
			getNode: () => ({ name: 'Sluice' }),
			getCredentials: async () => ({ url: 'http://gateway/v1' }),
			getCurrentNodeParameter: () => 'embeddings',
			helpers: {
				httpRequestWithAuthentication: async () => ({ statusCode: 200, headers: {}, body: list }),
			},
		};
		const { listSearch, loadOptions } = new Sluice().methods;
		const found = [
			{ name: 'auto', value: 'auto' },
			{ name: 'e', value: 'e' },
		];
		assert.deepEqual(await listSearch.searchModels.call(context), { results: found });
		assert.deepEqual(await loadOptions.getModels.call(context), found);
	});
});

describe('credentials', () => {
	it('are tested with the list of models', () => {
		const { baseURL, url } = new SluiceApi().test.request;
		const evaluate = new Function('$credentials', `return ${baseURL.slice(3, -2)}`);
		for (const given of ['http://host', 'http://host/', ' http://host/v1 ', 'http://host/v1/'])
			assert.equal(evaluate({ url: given }) + url, 'http://host/v1/models');
	});

	it('send the key, if there is one', async () => {
		const { authenticate } = new SluiceApi();
		const sent = async (apiKey) =>
			(await authenticate({ apiKey }, { url: '', headers: { a: 'b' } })).headers;
		assert.deepEqual(await sent(' sk-1 '), { a: 'b', Authorization: 'Bearer sk-1' });
		assert.deepEqual(await sent(''), { a: 'b' });
	});
});
