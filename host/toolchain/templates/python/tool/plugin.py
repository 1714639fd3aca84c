"""Tools for the model: each function below `@tool` is one."""

from typing import Annotated

from ml_intern import InvalidInput, NotFound, tool


@tool(read_only=True)
def {{ident}}(
    path: Annotated[str, "A file, relative to the workspace."],
    min_length: Annotated[int, "Count words of at least this many letters.", {"minimum": 1}] = 1,
) -> dict:
    """Counts the words of a file."""
    try:
        with open(f"/workspace/{path}", encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        raise NotFound(f"no file `{path}`") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"`{path}` is not UTF-8 text") from None
    return {"words": count(text, min_length)}


def count(text: str, min_length: int) -> int:
    """Words that are separated by blanks."""
    return sum(len(word) >= min_length for word in text.split())
