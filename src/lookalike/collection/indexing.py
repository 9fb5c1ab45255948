"""Build, check and hold a collection's index on request; `add` maintains it automatically."""

from lookalike.collection.state import CollectionState
from lookalike.core.progress import Progress
from lookalike.core.reports import IndexReport
from lookalike.core.sizes import check_bytes
from lookalike.index.check import check_index
from lookalike.index.holding import HeldIndex


class CollectionIndex:
    """`collection.index`: build, check and hold the index."""

    def __init__(self, state: CollectionState) -> None:
        self._state = state

    def build(
        self,
        *,
        target_recall: float | None = None,
        progress: Progress = lambda done, total: None,
    ) -> bool:
        """Train a new index next to the old one, and switch to it.

        Args:
            target_recall: Share of the true 10 nearest that a search should find, from 0.5 to
                0.999; by default as in the last training, at first .99. A result whose similarity
                is within a thousandth of the tenth's also counts.
            progress: Called with (embeddings done, embeddings in all).

        Returns:
            False if another process is training, or the collection is so small that search is
            exact.

        Raises:
            InputError: The collection cannot be indexed, or target_recall is out of range.
        """
        return self._state.train(target_recall=target_recall, progress=progress)

    def check(self) -> IndexReport:
        """Compare every code with its embedding; change nothing."""
        return check_index(self._state.index)

    def hold(
        self, *, memory: int | str | None = None, progress: Progress = lambda done, total: None
    ) -> HeldIndex:
        """Hold the index in memory, as fresh as the table: see `Collection.hold_index`.

        Args:
            memory: The most to take, in bytes or as "2G"; by default a quarter of what is free. The
                codes have to fit; the embeddings are held too, as float32, bfloat16 or int8,
                whichever fits.
            progress: Called from another thread with (codes read, codes in all).

        Raises:
            InputError: memory is no size, or the collection has no table.
        """
        limit = check_bytes("memory", memory)
        held = HeldIndex(
            self._state.index, limit=limit, notify=self._state.notify, progress=progress
        )
        before, self._state.held = self._state.held, held
        if before is not None:
            before.close()
        return held
