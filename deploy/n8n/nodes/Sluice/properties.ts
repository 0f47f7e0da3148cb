/** Parameters of the node Sluice. */

import type { INodeProperties } from 'n8n-workflow';

import { callOptions, chatOptions, modelProperties, optionsOf } from '../shared/properties';

const CHAT = { operation: ['chat'] };
const EMBEDDINGS = { operation: ['embeddings'] };
const BOTH = { operation: ['chat', 'embeddings'] };

const toolOptions: INodeProperties[] = [
	{
		displayName: 'Parallel Tool Calls',
		name: 'parallelToolCalls',
		type: 'boolean',
		default: true,
		description: 'Whether the model may call several tools in one answer',
	},
	{
		displayName: 'Tool Choice',
		name: 'toolChoice',
		type: 'string',
		default: 'auto',
		description:
			'One of auto, none and required, or the name of the function that has to be called',
	},
	{
		displayName: 'Tools',
		name: 'tools',
		type: 'json',
		default: '[]',
		description:
			'A JSON array of tools as OpenAI has them. Their calls are in toolCalls of the item; send the results as Messages (JSON).',
	},
];

export const properties: INodeProperties[] = [
	{
		displayName: 'Operation',
		name: 'operation',
		type: 'options',
		noDataExpression: true,
		options: [
			{
				name: 'Balance',
				value: 'balance',
				description: 'What the account of the key has left',
				action: 'Get the balance',
			},
			{
				name: 'Chat',
				value: 'chat',
				description: 'Send messages to a model',
				action: 'Send messages to a model',
			},
			{
				name: 'Embeddings',
				value: 'embeddings',
				description: 'Make vectors of texts',
				action: 'Make vectors of texts',
			},
			{
				name: 'Models',
				value: 'models',
				description: 'List the models that the key may use',
				action: 'List the models',
			},
		],
		default: 'chat',
	},
	...modelProperties(BOTH),
	{
		displayName: 'Input',
		name: 'input',
		type: 'options',
		noDataExpression: true,
		options: [
			{ name: 'Messages', value: 'form' },
			{
				name: 'JSON',
				value: 'json',
				description: 'A whole conversation: images, results of tools',
			},
		],
		default: 'form',
		displayOptions: { show: CHAT },
	},
	{
		displayName: 'Messages',
		name: 'messages',
		type: 'fixedCollection',
		typeOptions: { multipleValues: true, sortable: true },
		placeholder: 'Add Message',
		default: { message: [{ role: 'user', content: '' }] },
		options: [
			{
				displayName: 'Message',
				name: 'message',
				values: [
					{
						displayName: 'Role',
						name: 'role',
						type: 'options',
						options: [
							{ name: 'Assistant', value: 'assistant' },
							{ name: 'System', value: 'system' },
							{ name: 'User', value: 'user' },
						],
						default: 'user',
					},
					{
						displayName: 'Content',
						name: 'content',
						type: 'string',
						typeOptions: { rows: 3 },
						default: '',
					},
				],
			},
		],
		displayOptions: { show: { ...CHAT, input: ['form'] } },
	},
	{
		displayName: 'Messages (JSON)',
		name: 'messagesJson',
		type: 'json',
		default: '[{"role": "user", "content": "Hello"}]',
		description: 'A JSON array of messages as OpenAI has them',
		displayOptions: { show: { ...CHAT, input: ['json'] } },
	},
	{
		displayName: 'Input',
		name: 'text',
		type: 'string',
		typeOptions: { rows: 3 },
		default: '',
		required: true,
		description: 'A text, or a list of texts: an expression, or a JSON array',
		displayOptions: { show: EMBEDDINGS },
	},
	{
		displayName: 'Simplify',
		name: 'simplify',
		type: 'boolean',
		default: true,
		description: 'Whether to return a simplified version of the response instead of the raw data',
		displayOptions: { show: BOTH },
	},
	{ ...optionsOf(chatOptions, toolOptions, callOptions), displayOptions: { show: CHAT } },
	{
		...optionsOf(callOptions, [
			{
				displayName: 'Dimensions',
				name: 'dimensions',
				type: 'number',
				typeOptions: { minValue: 1 },
				default: 256,
				description: 'Numbers that each vector has, for models that let one choose',
			},
		]),
		name: 'embeddingOptions',
		displayOptions: { show: EMBEDDINGS },
	},
];
