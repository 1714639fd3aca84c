"""What the programs in this folder have in common.

Each is called with a base URL, a key and a model, and prints one JSON object: the name of a case
and what the vendor's client made of the answers. What is asked for in the prompts is what the
server does; the test that runs the program knows both.
"""

import json
import sys

TOOLS_PROMPT = "use a tool"
PARALLEL_PROMPT = "use two tools"


def tool_answer(arguments):
    return f"rain in {arguments['city']}"


def strictly(value):
    """The value itself, after it was held against its type, field by field: clients that are made
    of pydantic models take anything from a server."""
    type(value).model_validate(value.to_dict())
    return value


def failure(ask):
    """What a client raises: the name of its type, and what a caller would go by."""
    try:
        ask()
    except Exception as error:
        response = getattr(error, "response", None)
        headers = getattr(response, "headers", None) or {}
        if isinstance(response, dict):  # botocore
            meta = response.get("ResponseMetadata", {})
            headers = meta.get("HTTPHeaders", {})
            status = meta.get("HTTPStatusCode")
        else:
            status = getattr(error, "status_code", None) or getattr(response, "status_code", None)
        return {
            "type": type(error).__name__,
            "bases": [base.__name__ for base in type(error).__mro__],
            "status": status,
            "retry_after": headers.get("retry-after"),
            "text": str(error),
        }
    return None


def main(cases_of):
    cases = cases_of(*sys.argv[1:4])
    result = {}
    for name in ("text", "tools", "parallel", "thinking", "refusal"):
        case = getattr(cases, name, None)
        if name == "parallel" and hasattr(cases, "tools"):
            case = lambda stream: cases.tools(stream, PARALLEL_PROMPT)
        if case is not None:
            result[name] = {"whole": case(False), "stream": case(True)}
    for name in ("events", "cache", "models", "count_tokens", "errors", "catalogue"):
        if hasattr(cases, name):
            result[name] = getattr(cases, name)()
    print(json.dumps(result))
