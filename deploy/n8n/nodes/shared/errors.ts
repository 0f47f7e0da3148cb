/** From error responses of the gateway, or of a proxy before it, to errors of n8n. */

import type { IDataObject, INode } from 'n8n-workflow';
import { NodeApiError } from 'n8n-workflow';

import type { Answer } from './retries';

const MOST_OF_A_PAGE = 200; // characters

/** The error with the gateway's own words. Its description has what helps to find the request, or the cause. */
export function apiError(node: INode, { statusCode, headers, body }: Answer): NodeApiError {
	// Without the response, from which some nodes of n8n make words of their own.
	return new NodeApiError(
		node,
		{},
		{
			message: errorText(statusCode, body),
			description: detailsOf(headers, body),
			httpCode: String(statusCode),
		},
	);
}

/** What an error response says, for a person. */
export function errorText(status: number, body: unknown): string {
	const error = errorOf(body);
	const text = typeof error === 'string' ? error : error?.message;
	if (typeof text === 'string' && text) return text;
	return status < 400
		? 'The response is not JSON. Check the Base URL of the credentials.'
		: `The gateway responded with status ${status}.`;
}

/** The code and the id of the request; of a page that is no JSON its beginning. */
export function detailsOf(headers: Record<string, unknown>, body: unknown): string {
	const error = errorOf(body);
	const code = typeof error === 'object' ? error?.code : undefined;
	const id = headers['x-request-id'];
	const parts = [code ? `Code: ${code}.` : '', id ? `Request: ${id}.` : ''];
	if (typeof body === 'string' && body.trim())
		parts.push(`It begins with: ${body.trim().slice(0, MOST_OF_A_PAGE)}`);
	return parts.filter((part) => part).join(' ');
}

function errorOf(body: unknown): IDataObject | string | undefined {
	return (body as IDataObject | null | undefined)?.error as IDataObject | string | undefined;
}
