"""Tools for the model: each function below `@tool` is one."""

from typing import Annotated

from ml_intern import InvalidInput, tool


@tool(read_only=True)
def {{ident}}(
    path: Annotated[str, "A file, relative to the workspace."],
    min_length: Annotated[int, "Count words of at least this many letters.", {"minimum": 1}] = 1,
) -> dict:
    """Counts the words of a file."""
    with open(f"/workspace/{path}", "rb") as file:
        content = file.read()
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"`{path}` is not UTF-8 text") from None
    return {"path": path, "words": count(text, min_length)}


def count(text: str, min_length: int) -> int:
    """Words that are separated by blanks."""
    return sum(len(word) >= min_length for word in text.split())
