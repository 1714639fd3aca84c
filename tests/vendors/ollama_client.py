"""Ollama's own client against a server: one JSON object with what each case came to.

It speaks Ollama's own protocol, of which only the catalogue is asked for.
"""

import ollama

from cases import main


class Cases:
    def __init__(self, base_url, key, model):
        self.client, self.model = ollama.Client(host=base_url, timeout=30), model

    def catalogue(self):
        shown = self.client.show(self.model)
        try:
            missing = self.client.show("none")
        except ollama.ResponseError as error:
            missing = [error.status_code, error.error]
        return {
            "models": [model.model for model in self.client.list().models],
            "capabilities": shown.capabilities,
            "context": shown.modelinfo["fake.context_length"],
            "family": shown.details.family,
            "missing": missing,
        }


main(Cases)
