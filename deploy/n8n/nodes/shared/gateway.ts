/** Requests of the nodes to the gateway, with the node's credentials. */

import type {
	IDataObject,
	IExecuteFunctions,
	IHttpRequestOptions,
	ILoadOptionsFunctions,
	INodeListSearchResult,
	INodePropertyOptions,
	ISupplyDataFunctions,
} from 'n8n-workflow';
import { sleep } from 'n8n-workflow';

import { apiError } from './errors';
import { apiOf, type ModelChoice, rootOf, TIMEOUT } from './request';
import { modelChoices } from './results';
import { type Answer, withRetries } from './retries';

/** What to send. `path` belongs to the API, or with `root` to the gateway itself. */
export interface GatewayRequest {
	path: string;
	root?: boolean;
	body?: IDataObject;
	headers?: Record<string, string>;
	timeout?: number;
	retries?: number;
}

/** A response in JSON. The names of headers are in lower case. */
export interface GatewayAnswer {
	headers: Record<string, unknown>;
	body: IDataObject;
}

/** The response. Throws NodeApiError with the gateway's own words for any status from 400 on, and if it is no JSON. */
export async function call(
	node: IExecuteFunctions | ILoadOptionsFunctions,
	{ path, root, body, headers, timeout = TIMEOUT, retries = 0 }: GatewayRequest,
	signal?: AbortSignal,
): Promise<GatewayAnswer> {
	const { url } = await node.getCredentials('sluiceApi');
	const options: IHttpRequestOptions = {
		method: body ? 'POST' : 'GET',
		url: (root ? rootOf(url) : apiOf(url)) + path,
		body,
		headers,
		json: true,
		timeout,
		abortSignal: signal,
		returnFullResponse: true,
		ignoreHttpStatusErrors: true,
	};
	const answer = await withRetries(
		async () =>
			(await node.helpers.httpRequestWithAuthentication.call(node, 'sluiceApi', options)) as Answer,
		retries,
		(ms) => pause(ms, signal),
		() => signal?.aborted ?? false,
	);
	const { statusCode, body: found } = answer;
	if (statusCode >= 400 || found === null || typeof found !== 'object') {
		throw apiError(node.getNode(), answer);
	}
	return { headers: answer.headers, body: found as IDataObject };
}

/** Throws as soon as the workflow is canceled. */
async function pause(ms: number, signal?: AbortSignal): Promise<void> {
	let cancel = () => {};
	const canceled = new Promise<never>((_, reject) => {
		cancel = () => reject(signal?.reason as Error);
	});
	signal?.addEventListener('abort', cancel);
	try {
		await Promise.race([sleep(ms), canceled]);
	} finally {
		signal?.removeEventListener('abort', cancel); // the signal is that of the whole workflow
	}
}

/** The choice of models that the parameters of an item make. */
export function modelChoice(
	node: IExecuteFunctions | ISupplyDataFunctions,
	item: number,
): ModelChoice {
	const selection = node.getNodeParameter('selection', item) as ModelChoice['selection'];
	if (selection === 'one') {
		return { selection, model: node.getNodeParameter('model', item, '', { extractValue: true }) };
	}
	if (selection === 'several') {
		const { model = [] } = node.getNodeParameter('models', item, {}) as { model?: IDataObject[] };
		const thenAuto = node.getNodeParameter('thenAuto', item, false);
		return { selection, models: model.map(({ name }) => name), thenAuto };
	}
	return { selection };
}

/** For the field *Model*: names that contain `filter`. */
export async function searchModels(
	this: ILoadOptionsFunctions,
	filter?: string,
): Promise<INodeListSearchResult> {
	const operation = String(this.getCurrentNodeParameter('operation') ?? '');
	const { body } = await call(this, { path: '/models' });
	return { results: modelChoices(body, operation, filter) };
}

/** For *Models by Priority*. */
export async function getModels(this: ILoadOptionsFunctions): Promise<INodePropertyOptions[]> {
	const operation = String(this.getCurrentNodeParameter('operation') ?? '');
	const { body } = await call(this, { path: '/models' });
	return modelChoices(body, operation);
}
