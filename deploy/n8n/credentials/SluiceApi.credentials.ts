import type {
	ICredentialDataDecryptedObject,
	ICredentialTestRequest,
	ICredentialType,
	IHttpRequestOptions,
	INodeProperties,
	Icon,
} from 'n8n-workflow';

export class SluiceApi implements ICredentialType {
	name = 'sluiceApi';

	displayName = 'Sluice API';

	icon: Icon = { light: 'file:../icons/sluice.svg', dark: 'file:../icons/sluice.dark.svg' };

	documentationUrl = 'https://sluice.example.org/deploy/n8n#credentials';

	properties: INodeProperties[] = [
		{
			displayName: 'Base URL',
			name: 'url',
			type: 'string',
			required: true,
			default: 'http://127.0.0.1:8080/v1',
			description:
				'Address of the gateway as n8n reaches it. From a container this is not 127.0.0.1.',
		},
		{
			displayName: 'API Key',
			name: 'apiKey',
			type: 'string',
			typeOptions: { password: true },
			default: '',
			description: 'Leave it empty for a gateway that requires no key',
		},
	];

	test: ICredentialTestRequest = {
		request: {
			baseURL: '={{ $credentials.url.trim().replace(/\\/+$/, "").replace(/\\/v1$/, "") }}',
			url: '/v1/models',
		},
		rules: [
			{
				type: 'responseCode',
				properties: { value: 401, message: 'The gateway does not accept this API key.' },
			},
			{
				// Of a page that is no JSON.
				type: 'responseSuccessBody',
				properties: {
					key: 'object',
					value: undefined,
					message: 'The address responds, but not as a gateway does. Check the Base URL.',
				},
			},
		] as ICredentialTestRequest['rules'],
	};

	async authenticate(
		credentials: ICredentialDataDecryptedObject,
		requestOptions: IHttpRequestOptions,
	): Promise<IHttpRequestOptions> {
		const key = String(credentials.apiKey ?? '').trim();
		if (key) requestOptions.headers = { ...requestOptions.headers, Authorization: `Bearer ${key}` };
		return requestOptions;
	}
}
