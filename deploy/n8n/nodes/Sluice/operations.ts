/** The operations of the node Sluice: each makes the items of one input item. */

import type { IDataObject, IExecuteFunctions } from 'n8n-workflow';

import { call, type GatewayAnswer, type GatewayRequest, modelChoice } from '../shared/gateway';
import {
	criteriaOf,
	dimensionsOf,
	headersOf,
	inputsOf,
	limitsOf,
	messagesOf,
	modelOf,
	parametersOf,
	RETRIES,
	toolsOf,
} from '../shared/request';
import { chatResult, embeddingResult, modelItems } from '../shared/results';

type Operation = (node: IExecuteFunctions, item: number) => Promise<IDataObject[]>;

export const operations: Record<string, Operation> = { chat, embeddings, models, balance };

async function chat(node: IExecuteFunctions, item: number): Promise<IDataObject[]> {
	const options = node.getNodeParameter('options', item, {}) as IDataObject;
	const rows = node.getNodeParameter('messages', item, {}) as { message?: IDataObject[] };
	const asJson = node.getNodeParameter('input', item, 'form') === 'json';
	const { body, headers } = await send(node, item, '/chat/completions', options, {
		...parametersOf(options),
		...toolsOf(options),
		messages: messagesOf(
			rows.message ?? [],
			asJson ? node.getNodeParameter('messagesJson', item) : undefined,
		),
	});
	return [node.getNodeParameter('simplify', item, true) ? chatResult(body, headers) : body];
}

async function embeddings(node: IExecuteFunctions, item: number): Promise<IDataObject[]> {
	const options = node.getNodeParameter('embeddingOptions', item, {}) as IDataObject;
	const { body, headers } = await send(node, item, '/embeddings', options, {
		input: inputsOf(node.getNodeParameter('text', item)),
		...dimensionsOf(options),
		encoding_format: 'float',
	});
	return [node.getNodeParameter('simplify', item, true) ? embeddingResult(body, headers) : body];
}

async function models(node: IExecuteFunctions): Promise<IDataObject[]> {
	return modelItems((await read(node, { path: '/models' })).body);
}

async function balance(node: IExecuteFunctions): Promise<IDataObject[]> {
	return [(await read(node, { path: '/billing/balance', root: true })).body];
}

async function read(node: IExecuteFunctions, request: GatewayRequest): Promise<GatewayAnswer> {
	return await call(node, { retries: RETRIES, ...request }, node.getExecutionCancelSignal());
}

/** A request of a model: the members with the chosen model and the filters. */
async function send(
	node: IExecuteFunctions,
	item: number,
	path: string,
	options: IDataObject,
	members: IDataObject,
): Promise<GatewayAnswer> {
	const filters = node.getNodeParameter('filters', item, {}) as IDataObject;
	return await read(node, {
		path,
		body: { model: modelOf(modelChoice(node, item)), ...criteriaOf(filters), ...members },
		headers: headersOf(options, true),
		...limitsOf(options),
	});
}
