/** Several models where LangChain takes the name of one. */

import type { ModelSpec } from '../shared/request';

/**
 * What LangChain may have as the name of a model. Several are the list in the JSON of a request. To LangChain, which
 * chooses defaults by the name (`model.startsWith("gpt-5")`), the list has the methods of its first name.
 */
export function langChainModel(model: ModelSpec): string {
	if (!Array.isArray(model)) return model;
	const names = [...model];
	for (const [name, { value }] of Object.entries(
		Object.getOwnPropertyDescriptors(String.prototype),
	)) {
		// Not enumerable, so that copies of the list, as in n8n's log, have the names only.
		if (!(name in names)) Object.defineProperty(names, name, { value: value.bind(model[0]) });
	}
	return names as unknown as string;
}
