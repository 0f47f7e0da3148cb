/** Parameters of the nodes, and the requests that they make. Run after the build. */

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';

const require = createRequire(import.meta.url);
const {
	apiOf,
	criteriaOf,
	dimensionsOf,
	headersOf,
	inputsOf,
	limitsOf,
	messagesOf,
	modelOf,
	ParameterError,
	parametersOf,
	rootOf,
	toolsOf,
} = require('../dist/nodes/shared/request.js');

describe('models', () => {
	const cases = [
		[{ selection: 'auto', model: 'ignored' }, 'auto'],
		[{ selection: 'one', model: ' demo ' }, 'demo'],
		[{ selection: 'one', model: 'auto' }, 'auto'],
		[{ selection: 'one', model: ['a', 'b'] }, ['a', 'b']], // an expression
		[{ selection: 'one', model: 'a, b' }, ['a', 'b']],
		[{ selection: 'several', models: ['a'] }, 'a'],
		[{ selection: 'several', models: ['b', 'a', 'b', ''] }, ['b', 'a']],
		[{ selection: 'several', models: ['a', ['b', 'c']] }, ['a', 'b', 'c']],
		[{ selection: 'several', models: ['a'], thenAuto: true }, ['a', 'auto']],
		[{ selection: 'several', models: ['a'], thenAuto: 'false' }, 'a'], // an expression
		[{ selection: 'several', models: ['auto', 'a'] }, ['a', 'auto']],
		[{ selection: 'several', models: [], thenAuto: false, model: 'ignored' }, ParameterError],
		[{ selection: 'one', model: '' }, ParameterError],
	];
	for (const [choice, expected] of cases) {
		it(JSON.stringify(choice), () => {
			if (expected === ParameterError) assert.throws(() => modelOf(choice), ParameterError);
			else assert.deepEqual(modelOf(choice), expected);
		});
	}
});

describe('filters', () => {
	it('are members of the request', () => {
		const filters = {
			tags: 'code, vision,',
			type: ' reasoning ',
			minContextSize: '32000',
			jsonResponse: true,
			preferFast: true,
			minSuccessRate: 0.9,
		};
		assert.deepEqual(criteriaOf(filters), {
			tags: ['code', 'vision'],
			type: 'reasoning',
			min_context_size: 32000,
			json_response: true,
			prefer_fast: true,
			min_success_rate: 0.9,
		});
	});

	it('that require nothing are left out', () => {
		const filters = {
			tags: '',
			type: '',
			minContextSize: 0,
			jsonResponse: false,
			preferFast: 'false', // an expression
			minSuccessRate: 0,
		};
		assert.deepEqual(criteriaOf(filters), {});
	});

	it('name the one that is no number', () => {
		assert.throws(
			() => criteriaOf({ minContextSize: 'big' }),
			/Minimum Context Size: expected a number/,
		);
	});
});

describe('parameters', () => {
	it('have the names of the API, and 0 is a value', () => {
		const options = {
			temperature: 0,
			topP: 0.5,
			maxTokens: 100,
			frequencyPenalty: 1,
			presencePenalty: -1,
			seed: '7',
			stop: ['\n', ''],
			responseFormat: 'json_object',
			reasoningEffort: 'low',
			serviceTier: 'flex',
			user: 'u',
			verbosity: 'low',
			timeout: 5,
			streaming: true,
		};
		assert.deepEqual(parametersOf(options), {
			temperature: 0,
			top_p: 0.5,
			max_tokens: 100,
			frequency_penalty: 1,
			presence_penalty: -1,
			seed: 7,
			stop: ['\n'],
			response_format: { type: 'json_object' },
			reasoning_effort: 'low',
			service_tier: 'flex',
			user: 'u',
			verbosity: 'low',
		});
	});

	it('that were not added are left to the model', () => {
		assert.deepEqual(
			parametersOf({
				maxTokens: -1,
				responseFormat: 'text',
				stop: [null],
				temperature: '',
				user: null,
				additional: '',
			}),
			{},
		);
	});

	it('are overridden by additional ones', () => {
		const options = { temperature: 1, additional: '{"temperature": 0.1, "logit_bias": {"5": 1}}' };
		assert.deepEqual(parametersOf(options), { temperature: 0.1, logit_bias: { 5: 1 } });
		assert.deepEqual(parametersOf({ additional: { n: 2 } }), { n: 2 }); // an expression
		assert.throws(
			() => parametersOf({ additional: '[1]' }),
			/Additional Parameters: expected a JSON object/,
		);
		assert.throws(
			() => parametersOf({ additional: '{' }),
			/Additional Parameters: this is no JSON/,
		);
	});
});

describe('tools', () => {
	const tool = { type: 'function', function: { name: 'f' } };

	it('are sent with their choice', () => {
		assert.deepEqual(
			toolsOf({ tools: JSON.stringify([tool]), toolChoice: 'f', parallelToolCalls: false }),
			{
				tools: [tool],
				tool_choice: { type: 'function', function: { name: 'f' } },
				parallel_tool_calls: false,
			},
		);
		assert.equal(toolsOf({ tools: [tool], toolChoice: 'required' }).tool_choice, 'required');
	});

	it('need no choice where there are none', () => {
		assert.deepEqual(toolsOf({ tools: '[]', toolChoice: 'auto', parallelToolCalls: true }), {});
		assert.deepEqual(toolsOf({}), {});
	});

	it('are a list', () =>
		assert.throws(() => toolsOf({ tools: '{}' }), /expected a JSON array of tools/));
});

describe('messages', () => {
	it('are the rows with a text', () => {
		const rows = [
			{ role: 'system', content: 'Be brief.' },
			{ content: 'Hi' },
			{ role: 'user', content: ' ' },
		];
		assert.deepEqual(messagesOf(rows), [
			{ role: 'system', content: 'Be brief.' },
			{ role: 'user', content: 'Hi' },
		]);
	});

	it('are texts, whatever an expression returns', () => {
		const rows = [{ content: 7 }, { content: { a: [1] } }];
		assert.deepEqual(
			messagesOf(rows).map(({ content }) => content),
			['7', '{"a":[1]}'],
		);
	});

	it('may be JSON', () => {
		assert.deepEqual(messagesOf([], '[{"role":"tool","content":"1"}]'), [
			{ role: 'tool', content: '1' },
		]);
	});

	it('are needed', () => {
		assert.throws(() => messagesOf([{ role: 'user', content: '' }]), /at least one/);
		assert.throws(() => messagesOf([], '{}'), /expected a JSON array/);
	});
});

describe('inputs', () => {
	it('are one text or a list', () => {
		assert.deepEqual(inputsOf('a'), ['a']);
		assert.deepEqual(inputsOf('["a", "b"]'), ['a', 'b']);
		assert.deepEqual(inputsOf(['a', 2]), ['a', '2']);
		for (const text of ['[not JSON', '[{"a": 1}]', '{"a": 1}', '7'])
			assert.deepEqual(inputsOf(text), [text]);
	});

	it('are not empty', () => {
		for (const input of ['', [], '[]', ['a', ''], [{}], undefined])
			assert.throws(() => inputsOf(input), ParameterError);
	});
});

describe('dimensions', () => {
	it('are a number, which an expression may return as a text', () => {
		assert.deepEqual(dimensionsOf({}), {});
		assert.deepEqual(dimensionsOf({ dimensions: '' }), {});
		assert.deepEqual(dimensionsOf({ dimensions: '256' }), { dimensions: 256 });
		assert.throws(() => dimensionsOf({ dimensions: 'many' }), ParameterError);
	});
});

describe('headers', () => {
	it('name cache, labels, run and budget', () => {
		const options = { cache: 'refresh', labels: 'team=web', run: '42', runBudget: 0.0000001 };
		assert.deepEqual(headersOf(options, true), {
			'x-router-metadata': 'true',
			'x-router-cache': 'refresh',
			'x-router-labels': 'team=web',
			'x-router-run': '42',
			'x-router-budget-usd': '0.0000001',
		});
	});

	it('are one line of UTF-8, byte by byte', () => {
		const { 'x-router-run': run } = headersOf({ run: 'Übersicht – Test\n2' });
		assert.equal(Buffer.from(run, 'latin1').toString('utf8'), 'Übersicht – Test 2');
	});

	it('are none without options', () => {
		assert.deepEqual(headersOf({}), {});
		assert.deepEqual(headersOf({ cache: 'default', labels: '', run: null, runBudget: '' }), {});
	});
});

describe('limits', () => {
	it('are those of the options, or the defaults', () => {
		assert.deepEqual(limitsOf({ timeout: '5', maxRetries: 0 }), { timeout: 5, retries: 0 });
		const defaults = { timeout: 300_000, retries: 2 };
		assert.deepEqual(limitsOf({ timeout: '', maxRetries: null }), defaults);
		assert.deepEqual(limitsOf({}), defaults);
	});

	it('name the one that is wrong', () => {
		assert.throws(() => limitsOf({ timeout: 0 }), /Timeout: expected milliseconds, more than 0/);
		assert.throws(
			() => limitsOf({ maxRetries: 'many' }),
			/Maximum Number of Retries: expected a number/,
		);
	});
});

describe('addresses', () => {
	it('have /v1, and no slash at the end', () => {
		for (const url of [' http://host/v1/ ', 'http://host/v1', 'http://host/', 'http://host'])
			assert.equal(apiOf(url), 'http://host/v1');
		assert.equal(apiOf('https://host/llm/'), 'https://host/llm/v1');
	});

	it('lead from the API to the gateway', () => {
		assert.equal(rootOf('https://host/llm/v1/'), 'https://host/llm');
		assert.equal(rootOf('http://host/api/v1'), 'http://host');
		assert.equal(rootOf('http://host:8080'), 'http://host:8080');
	});
});
