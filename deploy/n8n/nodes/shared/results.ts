/** From bodies of responses to items and lists. */

import type { IDataObject } from 'n8n-workflow';

/** A choice in a list of the editor. */
export interface Listed {
	name: string;
	value: string;
}

/** Types of models that answer no chat request. */
const NO_CHAT = new Set(['audio', 'embedding', 'image', 'moderation']);

/** What the gateway's cache did (`proxy/cache/README.md`), as far as it is on. */
const CACHE = 'x-router-cache';

/** The answer of a chat request in short: text, calls of tools, usage, who answered, and what the cache did. */
export function chatResult(body: IDataObject, headers: Record<string, unknown> = {}): IDataObject {
	const [choice] = (body.choices ?? []) as IDataObject[];
	const message = (choice?.message ?? {}) as IDataObject;
	return {
		text: message.content ?? '',
		...(message.tool_calls ? { toolCalls: message.tool_calls } : {}),
		finishReason: choice?.finish_reason ?? null,
		...shared(body, headers),
	};
}

/** Vectors in the order of the input, usage, who answered, and what the cache did. */
export function embeddingResult(
	body: IDataObject,
	headers: Record<string, unknown> = {},
): IDataObject {
	const data = [...((body.data ?? []) as IDataObject[])];
	data.sort((one, other) => Number(one.index) - Number(other.index));
	const embeddings = data.map((each) => each.embedding);
	return { embeddings, ...shared(body, headers) } as IDataObject;
}

function shared(body: IDataObject, headers: Record<string, unknown>): IDataObject {
	const cache = headers[CACHE] ? { cache: String(headers[CACHE]) } : {};
	return { model: body.model, usage: body.usage ?? null, ...cache, _router: body._router ?? null };
}

/**
 * One item for each name that a request may have. `type`, `contextSize` (tokens) and `tags` are those of its first
 * provider, and unknown for a model that only its provider lists.
 */
export function modelItems(body: IDataObject): IDataObject[] {
	const rows = new Map<string, IDataObject[]>();
	for (const row of (body.models ?? []) as IDataObject[]) {
		rows.set(String(row.name), [...(rows.get(String(row.name)) ?? []), row]);
	}
	return ((body.data ?? []) as IDataObject[]).map((model) => {
		const found = rows.get(String(model.id)) ?? [];
		return {
			id: model.id,
			providers: found.length ? found.map((row) => row.provider) : [model.owned_by],
			type: found[0]?.type ?? null,
			contextSize: found[0]?.contextSize ?? null,
			tags: found[0]?.tags ?? [],
		};
	});
}

/** The models to choose from, by name, with `auto` first. `filter` is what the user typed. */
export function modelChoices(body: IDataObject, operation: string, filter = ''): Listed[] {
	const wanted = filter.trim().toLowerCase();
	const names = modelItems(body)
		.filter(({ type }) =>
			operation === 'embeddings' ? !type || type === 'embedding' : !NO_CHAT.has(String(type)),
		)
		.map(({ id }) => String(id))
		.sort((one, other) => one.localeCompare(other));
	return ['auto', ...names]
		.filter((name) => name.toLowerCase().includes(wanted))
		.map((name) => ({ name, value: name }));
}
