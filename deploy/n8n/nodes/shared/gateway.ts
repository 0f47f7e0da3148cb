/** Requests of the nodes to the gateway, with the node's credentials. */

import type {
	IDataObject,
	IExecuteFunctions,
	IHttpRequestOptions,
	ILoadOptionsFunctions,
	INodeListSearchResult,
	INodePropertyOptions,
	ISupplyDataFunctions,
	JsonObject,
} from 'n8n-workflow';
import { NodeApiError, sleep } from 'n8n-workflow';

import { apiOf, type ModelChoice, rootOf } from './request';
import { errorText, modelChoices } from './results';
import { type Answer, withRetries } from './retries';

/** Milliseconds. */
export const TIMEOUT = 300_000;
export const RETRIES = 2;

/** What to send. `path` belongs to the API, or with `root` to the gateway itself. */
export interface GatewayRequest {
	path: string;
	root?: boolean;
	body?: IDataObject;
	headers?: Record<string, string>;
	timeout?: number;
	retries?: number;
}

/** The JSON of the response. Throws NodeApiError with the gateway's own words for any status from 400 on. */
export async function call(
	node: IExecuteFunctions | ILoadOptionsFunctions,
	{ path, root, body, headers, timeout = TIMEOUT, retries = 0 }: GatewayRequest,
	signal?: AbortSignal,
): Promise<IDataObject> {
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
		sleep,
		() => signal?.aborted ?? false,
	);
	if (answer.statusCode >= 400) {
		throw new NodeApiError(node.getNode(), answer.body as JsonObject, {
			message: errorText(answer.statusCode, answer.body),
			httpCode: String(answer.statusCode),
		});
	}
	return answer.body as IDataObject;
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
		const thenAuto = node.getNodeParameter('thenAuto', item, false) as boolean;
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
	return { results: modelChoices(await call(this, { path: '/models' }), operation, filter) };
}

/** For *Models by Priority*. */
export async function getModels(this: ILoadOptionsFunctions): Promise<INodePropertyOptions[]> {
	const operation = String(this.getCurrentNodeParameter('operation') ?? '');
	return modelChoices(await call(this, { path: '/models' }), operation);
}
