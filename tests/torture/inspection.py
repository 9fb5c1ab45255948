"""What is asked of the collection after a round, when nobody else is at it any more."""

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.torture import data
from tests.torture.actor import Lost
from tests.torture.ours import QUERIES, Client
from tests.torture.visible import ADDED, LEFT, TRAINED

PLAIN = 12
"""Searches of a step for 10 rows through the index, of which the recall is told."""

PAGES, PAGE = 12, 10
ATTEMPTS = 5


class Inspector(Client):
    """Checks the index and searches: as it was left, after an `add`, and after training."""

    def act(self) -> None:
        raise NotImplementedError("an inspector does one thing once: inspect")

    def inspect(self, *, trains: bool) -> None:
        """Look at everything."""
        self._look(LEFT)
        if self._insist(partial(self.add, 3)):
            self._look(ADDED)
        if trains and self._insist(self.train):
            self._look(TRAINED)

    def _look(self, step: str) -> None:
        self._insist(partial(self.check, step))
        ks = [10] * PLAIN + [1, 50, 100]
        searches: list[tuple[int, dict[str, Any]]] = [(k, {}) for k in ks]
        searches += [(k, {"exact": True}) for k in (10, 100)]
        shelves = range(data.SHELVES)
        searches += [(10, {"exact": e, "shelf": self.rng.choice(shelves)}) for e in (False, True)]
        for k, options in searches:
            self._insist(partial(self.search, self._query(), k, step=step, **options))
        for is_exact in (False, True):
            self._insist(partial(self._pages, self._query(), step, exact=is_exact))

    def _query(self) -> int:
        return self.rng.randrange(QUERIES)

    def _pages(self, number: int, step: str, *, exact: bool) -> None:
        vector = data.query(number, self.target.dim, self.target.metric)

        def read() -> dict[str, Any]:
            pages = [
                self.collection.search(vector, k=PAGE, offset=i * PAGE, exact=exact)
                for i in range(PAGES)
            ]
            return {"pages": [[(m.id, m.image_name) for m in page] for page in pages]}

        self.do("pages", read, query=number, step=step, exact=exact)

    def _insist(self, what: Callable[[], Any]) -> Any:
        """Do something again where the connection is lost, which may be in some configurations."""
        for _ in range(ATTEMPTS):
            try:
                if self._database is None:
                    self.connect()
                return what()
            except Lost:
                self.close()
                self._database = None
        return None
