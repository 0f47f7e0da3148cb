/** What n8n shows of an error response. */

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';

const require = createRequire(import.meta.url);
const { apiError } = require('../dist/nodes/shared/errors.js');

const NODE = { name: 'Sluice', type: 'sluice', typeVersion: 1, parameters: {} };

/** Message, description and status of the error that n8n shows. */
function shown(statusCode, body, headers = {}) {
	const { message, description, httpCode } = apiError(NODE, { statusCode, headers, body });
	return [message, description ?? '', httpCode];
}

describe('an error', () => {
	it('has the words of the gateway, its code and the request', () => {
		const error = { message: 'No such model.', code: 'model_not_found' };
		assert.deepEqual(shown(404, { error }, { 'x-request-id': 'r1' }), [
			'No such model.',
			'Code: model_not_found. Request: r1.',
			'404',
		]);
	});

	it('of a proxy has the beginning of its page', () => {
		assert.deepEqual(shown(502, `<html>${'a'.repeat(500)}`), [
			'The gateway responded with status 502.',
			`It begins with: <html>${'a'.repeat(194)}`,
			'502',
		]);
		assert.equal(shown(502, { error: 'bad gateway' })[0], 'bad gateway');
	});

	it('without a body has the status', () => {
		for (const body of [undefined, null, '', [], { error: null }, { error: {} }])
			assert.deepEqual(shown(502, body), ['The gateway responded with status 502.', '', '502']);
	});

	it('of an address that is no gateway names the credentials', () => {
		const [message, description] = shown(200, '<html>Welcome');
		assert.match(message, /not JSON. Check the Base URL/);
		assert.match(description, /Welcome/);
	});
});
