"""Refusals, which the table of engines repeats, and collections to read on every engine."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import numpy as np
import pytest

from lookalike import Collection, Database, LookalikeError, UnsupportedServer
from tests.conftest import ENGINES
from tests.engines.table import MAKES_THE_TABLE, committed, engine_of

DIM = 24

Refused = Callable[..., AbstractContextManager[None]]


class Stored(NamedTuple):
    """A collection with embeddings, shape (300, DIM), whose ids begin with 1."""

    db: Database
    collection: Collection
    vectors: np.ndarray


@pytest.fixture
def refused(request: pytest.FixtureRequest) -> Refused:
    """Expects a refusal, whose sentence becomes a note of the table."""

    @contextmanager
    def refusing(
        db: Database,
        match: str,
        error: type[LookalikeError] = UnsupportedServer,
        *,
        is_part: bool = False,  # of the capability; the rest of it is there
    ) -> Iterator[None]:
        with pytest.raises(error, match=match) as told:
            yield
        sentence = str(told.value).replace(db.url, "the server")
        assert "\n" not in sentence and "database refused" not in sentence
        _note(request, "part" if is_part else "refused", sentence)

    return refusing


@pytest.fixture
def remark(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Adds a note to the table: by which means an engine does it."""
    return lambda text: _note(request, "remark", text)


def _note(request: pytest.FixtureRequest, kind: str, text: str) -> None:
    """Keep a note for the table. The committed table has it, or is out of date."""
    request.node.user_properties.append((kind, text))
    is_made_now = request.config.pluginmanager.has_plugin(MAKES_THE_TABLE)
    engine = engine_of(request.node)
    if engine in ENGINES and not is_made_now:
        notes = [note.partition(". ")[2] for note in committed()[1]]
        assert text in notes, "the table in docs/engines.md is out of date: run `make engines`"


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return np.random.default_rng(7).standard_normal((300, DIM)).astype(np.float32)


@pytest.fixture(scope="module")
def stored(module_engine: Database, vectors: np.ndarray) -> Stored:
    """A collection to read."""
    collection = module_engine.collection("own", dim=DIM)
    collection.add_embeddings([f"v{i}" for i in range(len(vectors))], vectors)
    return Stored(module_engine, collection, vectors)
