from typing import Annotated

from ml_intern import InvalidInput, NotFound, fetch, progress, session, tool


@tool(read_only=True, open_world=True)
def word_count(
    source: Annotated[str, "A file of the workspace, or a URL."],
    min_length: Annotated[int, "Count words of at least this many bytes."] = 1,
) -> dict:
    """Counts the words of a file or of a page."""
    if not source:
        raise InvalidInput("source: must not be empty")
    calls = session.get("calls", 0) + 1
    session.set("calls", calls)

    progress(f"reading {source}", 0.0)
    text = read(source)
    words = sum(len(word) >= min_length for word in text.split())
    progress("counted", 1.0)
    return {"source": source, "words": words, "bytes": len(text), "calls": calls}


def read(source: str) -> bytes:
    if not source.startswith(("http://", "https://")):
        try:
            with open(f"/workspace/{source}", "rb") as file:
                return file.read()
        except FileNotFoundError:
            raise NotFound(f"no file `{source}`") from None
    response = fetch(source, max_bytes=1 << 20)
    if response.status == 404:
        raise NotFound(f"no page `{source}`")
    return response.raise_for_status().body
