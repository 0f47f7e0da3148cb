/** From parameters of a node to members and headers of a request. */

import type { IDataObject } from 'n8n-workflow';

/** Milliseconds. */
export const TIMEOUT = 300_000;
export const RETRIES = 2;

/** Models to request: a name, several in order of preference, or `auto`. */
export type ModelSpec = string | string[];

/** The choice of models as the node's parameters have it. */
export interface ModelChoice {
	selection: 'auto' | 'one' | 'several';
	/** For `one`: a name, or what an expression returned: also a list, or names separated by commas. */
	model?: unknown;
	/** For `several`: each a name or a list, as above. */
	models?: unknown[];
	/** For `several`: continue with any other model. */
	thenAuto?: unknown;
}

/** A mistake in a parameter. The message says which one, and what it has to be. */
export class ParameterError extends Error {}

/** The member `model` of a request. Raises ParameterError if no model is named. */
export function modelOf(choice: ModelChoice): ModelSpec {
	if (choice.selection === 'auto') return 'auto';
	const given = choice.selection === 'one' ? [choice.model] : (choice.models ?? []);
	const names = [...new Set(given.flatMap(namesOf))];
	if (names.length === 0)
		throw new ParameterError('Model: choose a model, or set Models to Automatic.');
	// `auto` stands at the end only.
	const several = names.filter((name) => name !== 'auto');
	const auto =
		several.length < names.length || (choice.selection === 'several' && flagOf(choice.thenAuto));
	if (several.length === 0) return 'auto';
	if (auto) return [...several, 'auto'];
	return several.length === 1 ? several[0] : several;
}

/** Router criteria as members of a request (`proxy/routing/README.md`). Empty ones are left out. */
export function criteriaOf(filters: IDataObject): IDataObject {
	const tags = namesOf(filters.tags);
	const members: IDataObject = {};
	if (tags.length) members.tags = tags;
	if (textOf(filters.type)) members.type = textOf(filters.type);
	const size = numberOf('Minimum Context Size', filters.minContextSize);
	if (size) members.min_context_size = size;
	if (flagOf(filters.jsonResponse)) members.json_response = true;
	if (flagOf(filters.preferFast)) members.prefer_fast = true;
	const rate = numberOf('Minimum Success Rate', filters.minSuccessRate);
	if (rate) members.min_success_rate = rate;
	return members;
}

const NUMBERS = {
	frequencyPenalty: ['Frequency Penalty', 'frequency_penalty'],
	maxTokens: ['Maximum Number of Tokens', 'max_tokens'],
	presencePenalty: ['Presence Penalty', 'presence_penalty'],
	seed: ['Seed', 'seed'],
	temperature: ['Temperature', 'temperature'],
	topP: ['Top P', 'top_p'],
} as const;

const TEXTS = {
	reasoningEffort: 'reasoning_effort',
	serviceTier: 'service_tier',
	user: 'user',
	verbosity: 'verbosity',
} as const;

/**
 * OpenAI's parameters as members of a request. An option that was not added is left out, so the model's own default
 * holds. Additional parameters override the others.
 */
export function parametersOf(options: IDataObject): IDataObject {
	const members: IDataObject = {};
	for (const [option, [label, member]] of Object.entries(NUMBERS)) {
		const value = numberOf(label, options[option]);
		// n8n's form has -1 for "no limit".
		if (value !== undefined && !(option === 'maxTokens' && value <= 0)) members[member] = value;
	}
	for (const [option, member] of Object.entries(TEXTS)) {
		const value = textOf(options[option]);
		if (value) members[member] = value;
	}
	// Not trimmed: a line break is a usual one.
	const stop = [options.stop ?? []].flat().filter((each) => (each ?? '') !== '');
	if (stop.length) members.stop = stop;
	if (options.responseFormat === 'json_object') members.response_format = { type: 'json_object' };
	return { ...members, ...objectOf('Additional Parameters', options.additional) };
}

/** Tools for a chat request; none if there are no tools. */
export function toolsOf(options: IDataObject): IDataObject {
	const tools = jsonOf('Tools', options.tools);
	if (tools === undefined || (Array.isArray(tools) && tools.length === 0)) return {};
	if (!Array.isArray(tools)) throw new ParameterError('Tools: expected a JSON array of tools.');
	const members: IDataObject = { tools };
	const choice = textOf(options.toolChoice);
	// Any other value is the name of a function.
	if (['auto', 'none', 'required'].includes(choice)) members.tool_choice = choice;
	else if (choice) members.tool_choice = { type: 'function', function: { name: choice } };
	if (options.parallelToolCalls !== undefined)
		members.parallel_tool_calls = flagOf(options.parallelToolCalls);
	return members;
}

/** Messages of a chat request: the rows of the form, or a whole conversation as JSON. */
export function messagesOf(rows: IDataObject[], json?: unknown): IDataObject[] {
	const messages =
		jsonOf('Messages (JSON)', json) ??
		rows
			.filter((row) => textOf(row.content))
			.map((row) => ({ role: row.role ?? 'user', content: contentOf(row.content) }));
	if (!Array.isArray(messages))
		throw new ParameterError('Messages (JSON): expected a JSON array of messages.');
	if (messages.length === 0)
		throw new ParameterError('Messages: at least one with a text is needed.');
	return messages as IDataObject[];
}

/** An expression may return an object. Its JSON is the text. */
function contentOf(value: unknown): string {
	return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Texts to embed: one, or a list (an expression, or a JSON array of texts). Raises ParameterError if one is empty. */
export function inputsOf(input: unknown): string[] {
	const found = typeof input === 'string' ? parsed(input).found : input;
	const list = Array.isArray(found) && found.every(isPlain) ? found : [input];
	const texts = list.map((text) => (isPlain(text) ? String(text) : ''));
	if (texts.length === 0 || texts.includes('')) {
		throw new ParameterError('Input: expected a text, or a list of texts, none of them empty.');
	}
	return texts;
}

/** How many numbers each vector has, as a member of a request. */
export function dimensionsOf(options: IDataObject): IDataObject {
	const dimensions = numberOf('Dimensions', options.dimensions);
	return dimensions ? { dimensions } : {};
}

function isPlain(value: unknown): boolean {
	return typeof value === 'string' || typeof value === 'number';
}

/** Milliseconds of one request, and how often it is repeated. An empty option is the default. */
export function limitsOf(options: IDataObject): { timeout: number; retries: number } {
	const timeout = numberOf('Timeout', options.timeout) ?? TIMEOUT;
	if (timeout <= 0) throw new ParameterError('Timeout: expected milliseconds, more than 0.');
	const retries = numberOf('Maximum Number of Retries', options.maxRetries) ?? RETRIES;
	return { timeout, retries: Math.max(0, Math.floor(retries)) };
}

/** Headers for the cache, attribution and budgets. With `metadata`, `_router` has the cost. */
export function headersOf(options: IDataObject, metadata = false): Record<string, string> {
	const headers: Record<string, string> = {};
	if (metadata) headers['x-router-metadata'] = 'true';
	const cache = textOf(options.cache);
	if (cache && cache !== 'default') headers['x-router-cache'] = headerText(cache);
	if (textOf(options.labels)) headers['x-router-labels'] = headerText(textOf(options.labels));
	if (textOf(options.run)) headers['x-router-run'] = headerText(textOf(options.run));
	const budget = numberOf('Run Budget (USD)', options.runBudget);
	if (budget) headers['x-router-budget-usd'] = decimal(budget);
	return headers;
}

/** A header on one line. Node.js sends a character as one byte, and refuses others. The gateway reads UTF-8. */
function headerText(text: string): string {
	return Buffer.from(text.replace(/[\r\n]+/g, ' '), 'utf8').toString('latin1');
}

/** The API's address, without a slash at the end. It has `/v1`, even if the credentials do not. */
export function apiOf(url: unknown): string {
	const given = textOf(url).replace(/\/+$/, '');
	return given.endsWith('/v1') ? given : `${given}/v1`;
}

/** The gateway's address: that of the API without its path. Balances are there. */
export function rootOf(url: unknown): string {
	return apiOf(url).replace(/(\/api)?\/v1$/, '');
}

/** Names in a text with commas, or in a list. */
function namesOf(value: unknown): string[] {
	const parts = Array.isArray(value) ? value : String(value ?? '').split(',');
	return parts.map((part) => String(part ?? '').trim()).filter((part) => part !== '');
}

/** Expressions may return a text. */
function flagOf(value: unknown): boolean {
	return value === true || textOf(value).toLowerCase() === 'true';
}

function textOf(value: unknown): string {
	return String(value ?? '').trim();
}

/** `undefined` if it is not set. Expressions may return a number as a text. */
function numberOf(label: string, value: unknown): number | undefined {
	if (value === undefined || value === null || value === '') return undefined;
	const number = Number(value);
	if (!Number.isFinite(number)) throw new ParameterError(`${label}: expected a number.`);
	return number;
}

/** Without an exponent: the gateway reads `0.0000001`, not `1e-7`. */
function decimal(value: number): string {
	return value.toFixed(9).replace(/\.?0+$/, '');
}

function objectOf(label: string, value: unknown): IDataObject {
	const found = jsonOf(label, value) ?? {};
	if (typeof found !== 'object' || Array.isArray(found))
		throw new ParameterError(`${label}: expected a JSON object.`);
	return found as IDataObject;
}

/** `undefined` if nothing was entered. n8n hands over JSON as a text, and what an expression returned as it is. */
function jsonOf(label: string, value: unknown): unknown {
	if (value === undefined || value === null || value === '') return undefined;
	if (typeof value !== 'string') return value;
	if (value.trim() === '') return undefined;
	const { found, mistake } = parsed(value);
	if (mistake) throw new ParameterError(`${label}: this is no JSON (${mistake}).`);
	return found;
}

function parsed(text: string): { found?: unknown; mistake?: string } {
	try {
		return { found: JSON.parse(text) };
	} catch (error) {
		return { mistake: (error as Error).message };
	}
}
