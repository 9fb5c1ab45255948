"""The index of a collection: built and checked on request; `add` does so by itself."""

from lookalike.collection.state import CollectionState
from lookalike.core.progress import Progress
from lookalike.core.reports import IndexReport
from lookalike.index.check import check_index


class CollectionIndex:
    """`collection.index`: its methods are rarely needed."""

    def __init__(self, state: CollectionState) -> None:
        self._state = state

    def build(
        self,
        *,
        target_recall: float | None = None,
        progress: Progress = lambda done, total: None,
    ) -> bool:
        """Train the index anew, beside the old one, and switch to it.

        Args:
            target_recall: The share of the true 10 nearest that a search is to find, from 0.5 to
                0.999; by default that of the last training, .99 at first. A result whose
                similarity is within a thousandth of the tenth's counts as true.
            progress: Called with (embeddings done, embeddings in all).

        Returns:
            False where another process is training already, or the collection is so small that
            its search is exact.

        Raises:
            InputError: The collection cannot be indexed, or target_recall is out of range.
        """
        return self._state.train(target_recall=target_recall, progress=progress)

    def check(self) -> IndexReport:
        """Compare every code with its embedding; nothing is changed."""
        return check_index(self._state.index)
