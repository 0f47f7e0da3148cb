/** What the nodes make of responses. */

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';

const require = createRequire(import.meta.url);
const {
	chatResult,
	embeddingResult,
	modelChoices,
	modelItems,
} = require('../dist/nodes/shared/results.js');

const ROUTER = { provider: 'demo', model_name: 'demo', attempts: 1 };

describe('chat', () => {
	it('has text, usage and who answered', () => {
		const message = { role: 'assistant', content: 'Hi' };
		const body = {
			model: 'm',
			choices: [{ message, finish_reason: 'stop' }],
			usage: { total_tokens: 3 },
			_router: ROUTER,
		};
		assert.deepEqual(chatResult(body), {
			text: 'Hi',
			finishReason: 'stop',
			model: 'm',
			usage: { total_tokens: 3 },
			_router: ROUTER,
		});
	});

	it('says what the cache did, if there is one', () => {
		const headers = { 'x-router-cache': 'hit' };
		assert.equal(chatResult({ choices: [] }, headers).cache, 'hit');
		assert.equal(embeddingResult({ data: [] }, headers).cache, 'hit');
		assert.ok(!('cache' in chatResult({ choices: [] }, {})));
	});

	it('has the calls of tools', () => {
		const calls = [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }];
		const message = { content: null, tool_calls: calls };
		const result = chatResult({ model: 'm', choices: [{ message, finish_reason: 'tool_calls' }] });
		assert.deepEqual(result.toolCalls, calls);
		assert.deepEqual([result.text, result.usage, result._router], ['', null, null]);
	});
});

describe('embeddings', () => {
	it('are in the order of the input', () => {
		const data = [
			{ index: 1, embedding: [2] },
			{ index: 0, embedding: [1] },
		];
		const result = embeddingResult({
			model: 'm',
			data,
			usage: { prompt_tokens: 2 },
			_router: ROUTER,
		});
		assert.deepEqual(result, {
			embeddings: [[1], [2]],
			model: 'm',
			usage: { prompt_tokens: 2 },
			_router: ROUTER,
		});
	});
});

const LIST = {
	data: [
		{ id: 'b', owned_by: 'one' },
		{ id: 'a', owned_by: 'one' },
		{ id: 'e', owned_by: 'one' },
		{ id: 'live', owned_by: 'two' },
	],
	models: [
		{ name: 'a', provider: 'one', type: 'chat', contextSize: 8000, tags: ['code'] },
		{ name: 'a', provider: 'two', type: 'chat', contextSize: null, tags: [] },
		{ name: 'b', provider: 'one', type: 'reasoning', contextSize: null, tags: [] },
		{ name: 'e', provider: 'one', type: 'embedding', contextSize: null, tags: [] },
	],
};

describe('models', () => {
	it('are one item for each name', () => {
		const items = modelItems(LIST);
		assert.deepEqual(
			items.map(({ id }) => id),
			['b', 'a', 'e', 'live'],
		);
		assert.deepEqual(items[1], {
			id: 'a',
			providers: ['one', 'two'],
			type: 'chat',
			contextSize: 8000,
			tags: ['code'],
		});
		assert.deepEqual(items[3], {
			id: 'live',
			providers: ['two'],
			type: null,
			contextSize: null,
			tags: [],
		});
	});

	it('are listed by what they can do, auto first', () => {
		const names = (...given) => modelChoices(LIST, ...given).map(({ value }) => value);
		assert.deepEqual(names('chat'), ['auto', 'a', 'b', 'live']);
		assert.deepEqual(names('embeddings'), ['auto', 'e', 'live']);
		assert.deepEqual(names('', ' LI'), ['live']);
	});
});
