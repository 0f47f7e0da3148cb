// The names of API keys, for subjects of budgets and accounts that are the id of a key.

import { get } from "./api.js";
import { KEYS } from "./key.js";

const PAGE = 500; // keys; one that is not among them is shown by its id
const OF_KEY = /^(?:key:)?((?:key_|config:)[^/]*)(.*)$/s; // the key itself, its account, or a run of its account

/** `load(subjects)` reads the names again if a key is among them that was not looked for yet. */
export function keyNames() {
  const names = new Map(); // by the id of a key
  const sought = new Set();
  return {
    /** "bot" for key_92b9a1d4 and key:key_92b9a1d4, "bot/r1" for key:key_92b9a1d4/r1; else the subject itself. */
    of(subject) {
      const [, id, rest] = OF_KEY.exec(subject) ?? [];
      return names.has(id) ? `${names.get(id)}${rest}` : subject;
    },
    async load(subjects, signal) {
      const unknown = subjects.map((subject) => OF_KEY.exec(subject)?.[1]).filter((id) => id && !names.has(id) && !sought.has(id));
      if (!unknown.length) return;
      unknown.forEach((id) => sought.add(id));
      try {
        (await get(`${KEYS}?limit=${PAGE}`, { signal })).data.forEach(({ id, name }) => names.set(id, name));
      } catch {
        // the ids do
      }
    },
  };
}
