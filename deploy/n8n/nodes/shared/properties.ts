/** Parameters that both nodes have. */

import type { IDisplayOptions, INodeProperties } from 'n8n-workflow';

/** Which models may answer. `show`: where the parameters are shown. */
export function modelProperties(show: IDisplayOptions['show'] = {}): INodeProperties[] {
	return [
		{
			displayName: 'Models',
			name: 'selection',
			type: 'options',
			noDataExpression: true,
			options: [
				{
					name: 'Automatic',
					value: 'auto',
					description: 'The gateway chooses among its models, by the filters',
				},
				{
					name: 'One Model',
					value: 'one',
					description: 'A model from the list, or one that an expression names',
				},
				{
					name: 'Several by Priority',
					value: 'several',
					description: 'The next model answers if the one before it cannot',
				},
			],
			default: 'one',
			displayOptions: { show },
		},
		{
			displayName: 'Model',
			name: 'model',
			type: 'resourceLocator',
			default: { mode: 'list', value: 'auto', cachedResultName: 'auto' },
			required: true,
			description:
				'A model of the gateway. An expression may also return a list of names, in order of preference.',
			modes: [
				{
					displayName: 'From List',
					name: 'list',
					type: 'list',
					typeOptions: { searchListMethod: 'searchModels', searchable: true },
				},
				{
					displayName: 'By Name',
					name: 'id',
					type: 'string',
					placeholder: 'e.g. openrouter/deepseek-r1',
				},
			],
			displayOptions: { show: { ...show, selection: ['one'] } },
		},
		{
			displayName: 'Models by Priority',
			name: 'models',
			type: 'fixedCollection',
			typeOptions: { multipleValues: true, sortable: true },
			placeholder: 'Add Model',
			default: {},
			description: 'The first one that can answer does. Drag them into the order that you want.',
			options: [
				{
					displayName: 'Model',
					name: 'model',
					values: [
						{
							displayName: 'Model Name or ID',
							name: 'name',
							type: 'options',
							typeOptions: { loadOptionsMethod: 'getModels' },
							default: '',
							description:
								'Choose from the list, or specify an ID using an <a href="https://docs.n8n.io/code/expressions/">expression</a>',
						},
					],
				},
			],
			displayOptions: { show: { ...show, selection: ['several'] } },
		},
		{
			displayName: 'Then Any Other Model',
			name: 'thenAuto',
			type: 'boolean',
			default: false,
			description: 'Whether any other model may answer if none of these can',
			displayOptions: { show: { ...show, selection: ['several'] } },
		},
		{
			displayName: 'Filters',
			name: 'filters',
			type: 'collection',
			placeholder: 'Add Filter',
			default: {},
			description:
				'Requirements for the model that the gateway chooses. Prefer Fast also chooses among the providers of a named model.',
			options: [
				{
					displayName: 'JSON Answers',
					name: 'jsonResponse',
					type: 'boolean',
					default: true,
					description: 'Whether the model must be able to answer in JSON',
				},
				{
					displayName: 'Minimum Context Size',
					name: 'minContextSize',
					type: 'number',
					typeOptions: { minValue: 0 },
					default: 32000,
					description: 'Tokens that the model must accept at least',
				},
				{
					displayName: 'Minimum Success Rate',
					name: 'minSuccessRate',
					type: 'number',
					typeOptions: { minValue: 0, maxValue: 1, numberPrecision: 2 },
					default: 0.9,
					description:
						'Share of its latest requests that the model must have answered, from 0 to 1',
				},
				{
					displayName: 'Prefer Fast',
					name: 'preferFast',
					type: 'boolean',
					default: true,
					description: 'Whether to choose the lowest time to the first token',
				},
				{
					displayName: 'Tags',
					name: 'tags',
					type: 'string',
					default: '',
					placeholder: 'e.g. code, vision',
					description: 'The model must have all of these, separated by commas',
				},
				{
					displayName: 'Type',
					name: 'type',
					type: 'string',
					default: '',
					placeholder: 'e.g. reasoning',
					description: 'A type of models, such as chat or reasoning, or a speed tier: fast',
				},
			],
			displayOptions: { show },
		},
	];
}

/** OpenAI's parameters of a chat request. */
export const chatOptions: INodeProperties[] = [
	{
		displayName: 'Additional Parameters',
		name: 'additional',
		type: 'json',
		default: '{}',
		description:
			'Members to add to the request, as a JSON object. They override the other options. Example: {"logit_bias": {"50256": -100}}.',
	},
	{
		displayName: 'Frequency Penalty',
		name: 'frequencyPenalty',
		type: 'number',
		typeOptions: { minValue: -2, maxValue: 2, numberPrecision: 1 },
		default: 0,
		description: 'Above 0 the model repeats the same words less often',
	},
	{
		displayName: 'Maximum Number of Tokens',
		name: 'maxTokens',
		type: 'number',
		typeOptions: { minValue: -1 },
		default: -1,
		description: 'Tokens that the model may generate at most. -1 leaves it to the model.',
	},
	{
		displayName: 'Presence Penalty',
		name: 'presencePenalty',
		type: 'number',
		typeOptions: { minValue: -2, maxValue: 2, numberPrecision: 1 },
		default: 0,
		description: 'Above 0 the model goes on to new topics more often',
	},
	{
		displayName: 'Reasoning Effort',
		name: 'reasoningEffort',
		type: 'options',
		options: [
			{ name: 'Extra High', value: 'xhigh' },
			{ name: 'High', value: 'high' },
			{ name: 'Low', value: 'low' },
			{ name: 'Medium', value: 'medium' },
			{ name: 'Minimal', value: 'minimal' },
			{ name: 'None', value: 'none' },
		],
		default: 'medium',
		description: 'How long a reasoning model thinks',
	},
	{
		displayName: 'Response Format',
		name: 'responseFormat',
		type: 'options',
		options: [
			{
				name: 'JSON',
				value: 'json_object',
				description: 'A JSON object; the prompt has to say JSON',
			},
			{ name: 'Text', value: 'text' },
		],
		default: 'text',
	},
	{
		displayName: 'Seed',
		name: 'seed',
		type: 'number',
		default: 0,
		description: 'With the same seed some models give the same answer to the same request',
	},
	{
		displayName: 'Service Tier',
		name: 'serviceTier',
		type: 'options',
		options: [
			{ name: 'Auto', value: 'auto' },
			{ name: 'Default', value: 'default' },
			{ name: 'Flex', value: 'flex' },
			{ name: 'Priority', value: 'priority' },
		],
		default: 'auto',
		description: 'How fast, and at which price, the provider serves the request',
	},
	{
		displayName: 'Stop Sequences',
		name: 'stop',
		type: 'string',
		typeOptions: { multipleValues: true, multipleValueButtonText: 'Add Sequence' },
		default: [],
		description: 'The answer ends before the first of these texts',
	},
	{
		displayName: 'Temperature',
		name: 'temperature',
		type: 'number',
		typeOptions: { minValue: 0, maxValue: 2, numberPrecision: 1 },
		default: 0.7,
		description: 'Low values make answers alike, high ones make them varied',
	},
	{
		displayName: 'Top P',
		name: 'topP',
		type: 'number',
		typeOptions: { minValue: 0, maxValue: 1, numberPrecision: 2 },
		default: 1,
		description:
			'Share of the most likely tokens that the model chooses from. Use it or Temperature.',
	},
	{
		displayName: 'User',
		name: 'user',
		type: 'string',
		default: '',
		description: 'Identifier of your end user, for the provider',
	},
	{
		displayName: 'Verbosity',
		name: 'verbosity',
		type: 'options',
		options: [
			{ name: 'High', value: 'high' },
			{ name: 'Low', value: 'low' },
			{ name: 'Medium', value: 'medium' },
		],
		default: 'medium',
		description: 'How long the answers are',
	},
];

/** Cache, attribution, timeout and retries of any request of a model. */
export const callOptions: INodeProperties[] = [
	{
		displayName: 'Cache',
		name: 'cache',
		type: 'options',
		options: [
			{ name: 'Default', value: 'default', description: 'As the gateway is configured' },
			{ name: 'Off', value: 'off', description: 'Neither use nor store a cached answer' },
			{ name: 'Only', value: 'only', description: 'Fail if there is no cached answer' },
			{ name: 'Refresh', value: 'refresh', description: 'Get a new answer, and store it' },
		],
		default: 'default',
		description: 'Whether the answer may come from the cache of the gateway, if it has one',
	},
	{
		displayName: 'Labels',
		name: 'labels',
		type: 'string',
		default: '',
		placeholder: 'e.g. team=web, ticket=ABC-1',
		description: 'Labels of the request in the ledger of the gateway',
	},
	{
		displayName: 'Maximum Number of Retries',
		name: 'maxRetries',
		type: 'number',
		typeOptions: { minValue: 0, maxValue: 10 },
		default: 2,
		description:
			'How often the node repeats a failed request. The gateway itself tries other models first.',
	},
	{
		displayName: 'Run',
		name: 'run',
		type: 'string',
		default: '={{ $execution.id }}',
		description: 'Name of the run that the request belongs to, for budgets of runs',
	},
	{
		displayName: 'Run Budget (USD)',
		name: 'runBudget',
		type: 'number',
		typeOptions: { minValue: 0, numberPrecision: 4 },
		default: 0.5,
		description:
			'What the run may cost at most. It needs a run, and a budget of runs at the gateway.',
	},
	{
		displayName: 'Timeout',
		name: 'timeout',
		type: 'number',
		typeOptions: { minValue: 1 },
		default: 300000,
		description: 'Milliseconds that one request may take',
	},
];

/** The collection *Options*, sorted as n8n's linter demands. */
export function optionsOf(...groups: INodeProperties[][]): INodeProperties {
	return {
		displayName: 'Options',
		name: 'options',
		type: 'collection',
		placeholder: 'Add Option',
		default: {},
		options: groups.flat().sort((one, other) => one.displayName.localeCompare(other.displayName)),
	};
}
