// A notifier: a person or a system is told.

import { AuthRequired, InvalidInput, config, fetch } from "@ml-intern/plugin";

export const notifier = {
  notify({ data, ...notice }) {
    const url = config("url");
    if (url === undefined) throw new InvalidInput("`url` is not set: set it in the notifier's `config`");
    const told = { ...notice, data: data === undefined ? null : JSON.parse(data) };
    const answer = fetch(url, { method: "POST", json: told, maxBytes: 64 << 10 });
    if ([401, 403].includes(answer.status)) throw new AuthRequired("{{name}}");
    answer.orThrow();
  },
};
