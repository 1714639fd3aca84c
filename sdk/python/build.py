"""Makes the component of a plugin: `build.py --folder F --wit W --work D --output O [--http] [--path P]…`.

`ml-intern plugin build` runs it, in a Python that has what `requirements.txt` names. The plugin's own
code runs only inside the component."""

from __future__ import annotations

import argparse
import ast
import re
import shutil
import sys
from pathlib import Path

SDK = Path(__file__).resolve().parent

#: What a plugin takes from `ml_intern` tells what it is.
KINDS = {"tool": "tool", "Provider": "provider", "Notifier": "notifier"}

#: Module names that do not depend on what else is in the world.
NAMES = {
    "ml-intern:plugin/types": "plugin_types",
    "wasi:http/types": "http_types",
    "wasi:config/store": "config_store",
    "wasi:keyvalue/store": "keyvalue_store",
    "wasi:io/streams": "streams",
}


def main() -> None:
    arguments = argparse.ArgumentParser()
    for name in ("folder", "wit", "work", "output"):
        arguments.add_argument(f"--{name}", type=Path, required=True)
    arguments.add_argument("--http", action="store_true")
    arguments.add_argument("--path", type=Path, action="append", default=[])
    told = arguments.parse_args()

    kinds = kinds_of(told.folder)
    interfaces = told.wit.read_text()
    versions = dict(re.findall(r"^package ([a-z:-]+)@([^\s;{]+)", interfaces, re.MULTILINE))
    wit = told.work / "wit"
    wit.mkdir(parents=True, exist_ok=True)
    (wit / "plugin.wit").write_text(interfaces)
    (wit / "world.wit").write_text(world(kinds, told.http, versions))

    # Not `app`, `main` or the like, which a plugin may have; nor the name of the world.
    entry = "ml_intern_component"
    imports = [f"from ml_intern.component.{kind} import {kind.capitalize()}" for kind in kinds]
    (told.work / f"{entry}.py").write_text("\n".join(["import plugin", *imports, ""]))

    from componentize_py import script

    sys.argv = ["componentize-py", "--quiet", "--wit-path", str(wit), "--world", "plugin-component"]
    for interface, name in NAMES.items():
        package = interface.split("/")[0]
        sys.argv += ["--import-interface-name", f"{interface}@{versions[package]}={name}"]
    sys.argv += ["componentize", entry, "--output", str(told.output)]
    # Copies, since the interpreter in the component writes `__pycache__` beside what it imports.
    plugin, sdk = told.work / "plugin", told.work / "sdk"
    shutil.copytree(told.folder, plugin, ignore=left_out)
    shutil.copytree(SDK / "ml_intern", sdk / "ml_intern", ignore=left_out)
    for path in (told.work, plugin, *told.path, sdk):
        sys.argv += ["--python-path", str(path)]
    paths = [told.work, told.folder, *told.path, SDK]
    try:
        sys.exit(script())
    except AssertionError as error:
        sys.exit(in_words(str(error), paths))


def left_out(folder: str, names: list[str]) -> list[str]:
    """What of a plugin's folder is no source of it."""
    del folder
    return [name for name in names if name.startswith(".") or name in ("build", "sdk", "__pycache__")]


def in_words(error: str, paths: list[Path]) -> str:
    """What componentize-py raises, without its own frames; it numbers the folders of modules."""
    text = error.split("\nCaused by:")[0].split("\nStack backtrace:")[0].strip()
    # Of the frames, those of the plugin tell where; of this package's, the message is enough.
    text = re.sub(r'  File "/(0|\d+/ml_intern)/.*\n(    .*\n)*', "", text)
    for number, path in reversed(list(enumerate(paths))):
        text = text.replace(f'"/{number}/', f'"{path}/')
    return text


def kinds_of(folder: Path) -> list[str]:
    """What the plugin's modules take from `ml_intern`, by reading them."""
    if not (folder / "plugin.py").is_file():
        sys.exit(f"no `plugin.py` in {folder}")
    names: set[str] = set()
    for file in sorted(folder.glob("*.py")):
        if file.name.startswith("test"):
            continue
        try:
            tree = ast.parse(file.read_text(encoding="utf-8"), file.name)
        except (SyntaxError, UnicodeDecodeError) as error:
            sys.exit(f"{file.name}: {error}")
        names |= taken(tree)
    kinds = [kind for name, kind in KINDS.items() if name in names]
    if not kinds:
        sys.exit("`plugin.py` has nothing to export: mark a function with `@tool`, or define a `Provider` or a `Notifier`")
    return kinds


def taken(tree: ast.Module) -> set[str]:
    """The names of `ml_intern` that a module uses: `from ml_intern import tool`, or `m.tool`."""
    names: set[str] = set()
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "ml_intern":
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            modules.update(alias.asname or alias.name for alias in node.names if alias.name == "ml_intern")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            names.add(node.attr)
    return names


def world(kinds: list[str], http: bool, versions: dict[str, str]) -> str:
    """The plugin's own world: what its manifest does not request is not imported."""
    lines = [f"include {kind}-plugin;" for kind in kinds]
    if http:
        lines.append(f"import wasi:http/outgoing-handler@{versions['wasi:http']};")
    body = "\n".join(f"    {line}" for line in lines)
    return f"package ml-intern:plugin@{versions['ml-intern:plugin']};\n\nworld plugin-component {{\n{body}\n}}\n"


if __name__ == "__main__":
    main()
