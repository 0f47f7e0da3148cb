import type {
	IDataObject,
	IExecuteFunctions,
	INodeExecutionData,
	INodeType,
	INodeTypeDescription,
	JsonObject,
} from 'n8n-workflow';
import { NodeApiError, NodeConnectionTypes, NodeOperationError } from 'n8n-workflow';

import { getModels, searchModels } from '../shared/gateway';
import { operations } from './operations';
import { properties } from './properties';

export class Sluice implements INodeType {
	description: INodeTypeDescription = {
		displayName: 'Sluice',
		name: 'sluice',
		icon: { light: 'file:../../icons/sluice.svg', dark: 'file:../../icons/sluice.dark.svg' },
		group: ['transform'],
		version: [1],
		subtitle: '={{ $parameter["operation"] }}',
		description: 'Chat, embeddings, models and the balance of a Sluice gateway',
		defaults: {
			name: 'Sluice',
		},
		usableAsTool: true,
		inputs: [NodeConnectionTypes.Main],
		outputs: [NodeConnectionTypes.Main],
		credentials: [
			{
				name: 'sluiceApi',
				required: true,
			},
		],
		properties,
	};

	methods = { listSearch: { searchModels }, loadOptions: { getModels } };

	async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
		const items: INodeExecutionData[] = [];
		for (let item = 0; item < this.getInputData().length; item++) {
			try {
				const operation = operations[this.getNodeParameter('operation', item) as string];
				const results: IDataObject[] = await operation(this, item);
				items.push(...results.map((json) => ({ json, pairedItem: { item } })));
			} catch (error) {
				if (this.continueOnFail()) {
					items.push({ json: { error: (error as Error).message }, pairedItem: { item } });
				} else if (error instanceof NodeApiError) {
					error.context.itemIndex = item;
					throw new NodeApiError(this.getNode(), error as unknown as JsonObject); // returns the same error
				} else {
					throw new NodeOperationError(this.getNode(), error as Error, { itemIndex: item });
				}
			}
		}
		return [items];
	}
}
