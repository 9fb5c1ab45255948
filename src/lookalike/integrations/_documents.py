"""What the vector stores of frameworks share: a collection of documents, and diverse results."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import lookalike
from lookalike import AnyOf, Collection, Condition, Database, Document, InputError, Metric, Model

Where = Mapping[str, Any] | Sequence[Any] | str | Condition | AnyOf
"""Conditions as in `Collection.search`."""
FloatArray = npt.NDArray[np.float32]


class DocumentStore:
    """An opened collection of documents.

    Args:
        database: A Database, or what `lookalike.connect` takes: that is closed by `close`.
        collection: Name of the collection; the first document creates it.
        model: As in `Database.collection`, where lookalike embeds.
        metric: The same, of a new collection.
    """

    def __init__(
        self,
        database: Database | str | None,
        collection: str,
        model: str | Model | None = None,
        metric: Metric | None = None,
    ) -> None:
        self._is_ours = not isinstance(database, Database)
        self.db = database if isinstance(database, Database) else lookalike.connect(database)
        try:
            self.collection: Collection = self.db.collection(collection, model=model, metric=metric)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the database, if it was opened here."""
        if self._is_ours:
            self.db.close()

    def search_diverse(
        self,
        vector: Sequence[float],
        *,
        k: int,
        fetch_k: int,
        where: Where | None,
        weight: float,
    ) -> list[Document]:
        """Return k of the `fetch_k` nearest documents, by maximal marginal relevance."""
        near = self.collection.documents.search(vector, k=max(k, fetch_k), where=where)
        items = self.collection.get([each.id for each in near], include=["embedding"])
        embeddings = {item.id: item.embedding for item in items if item.embedding is not None}
        near = [each for each in near if each.id in embeddings]  # deleted meanwhile
        if not near:
            return []
        chosen = most_relevant(
            np.asarray(vector, np.float32),
            np.stack([embeddings[each.id] for each in near]),
            k=k,
            weight=weight,
        )
        return [near[place] for place in chosen]


def most_relevant(query: FloatArray, embeddings: FloatArray, *, k: int, weight: float) -> list[int]:
    """Return the places of k embeddings by maximal marginal relevance, in the order of choice.

    Each is the one with the largest weight * cosine(query) - (1 - weight) * max cosine(chosen), as
    in Carbonell and Goldstein, "The use of MMR", 1998.

    Args:
        query: Shape (dim,).
        embeddings: Shape (n, dim), none of them all zero.
        k: Number of results.
        weight: From 0, the most diverse, to 1, the most similar.
    """
    if not 0 <= weight <= 1:
        raise InputError(f"the weight of similarity is {weight}; give 0 to 1")
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    similar = units @ (query / np.linalg.norm(query))
    chosen: list[int] = []
    nearest = np.zeros(len(units))  # to the chosen ones
    for _ in range(min(k, len(units))):
        # The first is the most similar one, whatever the weight.
        scores = weight * similar - (1 - weight) * nearest if chosen else similar.copy()
        scores[chosen] = -np.inf
        place = int(np.argmax(scores))
        alike = units @ units[place]
        nearest = np.maximum(nearest, alike) if chosen else alike
        chosen.append(place)
    return chosen


def refuse(options: Mapping[str, Any], call: str) -> None:
    """Raise InputError for options of a framework that lookalike does not have."""
    if options:
        raise InputError(f"{call} has no option {', '.join(map(repr, sorted(options)))}")
