import { type OpenAiModel, supplyModel } from '@n8n/ai-node-sdk';
import type {
	IDataObject,
	INodeType,
	INodeTypeDescription,
	ISupplyDataFunctions,
	SupplyData,
} from 'n8n-workflow';
import { NodeConnectionTypes, NodeOperationError } from 'n8n-workflow';

import { failedAttempts } from './failedAttempt';
import { langChainModel } from './modelNames';
import { getModels, modelChoice, searchModels } from '../shared/gateway';
import { callOptions, chatOptions, modelProperties, optionsOf } from '../shared/properties';
import {
	apiOf,
	criteriaOf,
	headersOf,
	limitsOf,
	modelOf,
	type ModelSpec,
	parametersOf,
} from '../shared/request';

export class SluiceChatModel implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Sluice Chat Model',
		name: 'sluiceChatModel',
		icon: { light: 'file:../../icons/sluice.svg', dark: 'file:../../icons/sluice.dark.svg' },
		group: ['transform'],
		version: [1],
		description: 'Chat model of any provider behind a Sluice gateway, for chains and agents',
		subtitle:
			'={{ { auto: "auto", one: $parameter["model"]?.value, several: ($parameter["models"]?.model ?? []).map(({ name }) => name).join(", ") }[$parameter["selection"]] }}',
		defaults: {
			name: 'Sluice Chat Model',
		},
		codex: {
			categories: ['AI'],
			subcategories: {
				AI: ['Language Models', 'Root Nodes'],
				'Language Models': ['Chat Models (Recommended)'],
			},
		},
		inputs: [],
		outputs: [NodeConnectionTypes.AiLanguageModel],
		outputNames: ['Model'],
		credentials: [
			{
				name: 'sluiceApi',
				required: true,
			},
		],
		properties: [
			...modelProperties(),
			optionsOf(chatOptions, callOptions, [
				{
					displayName: 'Streaming',
					name: 'streaming',
					type: 'boolean',
					default: true,
					description:
						'Whether to stream the answer where the workflow can use a stream, as with the Chat Trigger',
				},
			]),
		],
	};

	methods = { listSearch: { searchModels }, loadOptions: { getModels } };

	async supplyData(this: ISupplyDataFunctions, itemIndex: number): Promise<SupplyData> {
		const credentials = await this.getCredentials('sluiceApi');
		const options = this.getNodeParameter('options', itemIndex, {}) as IDataObject;
		let model: ModelSpec;
		let members: IDataObject;
		let defaultHeaders: Record<string, string>;
		let limits: ReturnType<typeof limitsOf>;
		try {
			const filters = this.getNodeParameter('filters', itemIndex, {}) as IDataObject;
			model = modelOf(modelChoice(this, itemIndex));
			members = { ...criteriaOf(filters), ...parametersOf(options) };
			defaultHeaders = headersOf(options);
			limits = limitsOf(options);
		} catch (error) {
			throw new NodeOperationError(this.getNode(), error as Error, { itemIndex });
		}
		const chosen: OpenAiModel = {
			type: 'openai',
			baseUrl: apiOf(credentials.url),
			// LangChain refuses an empty key. A gateway without keys ignores this one.
			apiKey: String(credentials.apiKey ?? '').trim() || 'none',
			model: langChainModel(model),
			defaultHeaders,
			timeout: limits.timeout,
			maxRetries: limits.retries,
			onFailedAttempt: failedAttempts(this.getNode()),
			// LangChain streams where the workflow takes a stream. `true` would make it stream always, and download the
			// tables of a tokenizer for an estimate of the usage.
			streaming: options.streaming === false ? false : undefined,
			streamUsage: true,
			useResponsesApi: false,
			// Not by LangChain's own names: it leaves some out for models that it takes for reasoning ones.
			additionalParams: members,
		};
		return supplyModel(this, chosen);
	}
}
