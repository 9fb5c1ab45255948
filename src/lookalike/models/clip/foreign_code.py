"""Refuse models that would run their own Python code.

Models often come from strangers. A model's configuration may name classes by dotted paths, which
the loading libraries import: from the model's own files, or from any installed package.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lookalike.core.errors import ModelError

# Names in lower case are modules and functions, which may be imported from anywhere.
_CLASS: Final = re.compile(r"sentence_transformers(\.\w+)*\.[A-Z]\w*", re.ASCII)
_LIBRARIES_ASK_FOR: Final = ("auto_map", "custom_pipelines", "trust_remote_code")
_WITHOUT_CLASSES: Final = {"tokenizer.json", "vocab.json"}  # and large


def refuse_foreign_code(folder: Path) -> None:
    """Check a model's configuration before any of it is loaded.

    Raises ModelError if it names code outside sentence-transformers, and ValueError if it cannot be
    read.
    """
    for path in _configurations(folder):
        content = json.loads(path.read_text(encoding="utf-8"))
        for fault in _faults(path.name, content):
            raise ModelError(
                f"{folder} contains its own code ({fault} in {path.name}), and lookalike never "
                "runs a model's code: use another model, or one saved by "
                "SentenceTransformer.save()"
            )


def _configurations(folder: Path) -> Iterator[Path]:
    seen = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        if os.path.realpath(root) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(root))
        for name in sorted(names):
            if name.endswith(".json") and name not in _WITHOUT_CLASSES:
                yield Path(root, name)


def _faults(name: str, content: Any) -> Iterator[str]:
    if name == "modules.json":
        for module in content:
            yield from _unless_a_class(module["type"])
            path = Path(module["path"])
            if path.is_absolute() or ".." in path.parts:
                yield f"from {module['path']!r}"
    types = content.get("types") if isinstance(content, dict) else None
    if isinstance(types, dict):  # of a Router, which holds parallel modules
        for kind in types.values():
            yield from _unless_a_class(kind)
    yield from _asked_for(content)


def _unless_a_class(name: object) -> Iterator[str]:
    if not _CLASS.fullmatch(str(name)):
        yield repr(name)


def _asked_for(content: Any) -> Iterator[str]:
    if isinstance(content, dict):
        yield from (repr(key) for key in _LIBRARIES_ASK_FOR if content.get(key))
        content = list(content.values())
    if isinstance(content, list):
        for value in content:
            yield from _asked_for(value)
