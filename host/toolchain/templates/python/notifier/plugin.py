"""A notifier: a person or a system is told."""

import json

from ml_intern import AuthRequired, InvalidInput, Notice, Notifier, config, fetch


class {{Type}}(Notifier):
    def notify(self, notice: Notice) -> str | None:
        url = config("url")
        if url is None:
            raise InvalidInput("`url` is not set: set it in the notifier's `config`")
        answer = fetch(url, method="POST", json=told(notice), max_bytes=64 << 10)
        if answer.status in (401, 403):
            raise AuthRequired("{{name}}")
        answer.raise_for_status()
        return None


def told(notice: Notice) -> dict:
    return {
        "id": notice.id,
        "kind": notice.kind,
        "severity": notice.severity.value,
        "title": notice.title,
        "body": notice.body,
        "url": notice.url,
        "data": json.loads(notice.data) if notice.data else None,
    }
