"""Find the nearest stored embeddings: choose between index and exact search, cut pages."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from lookalike.core.threads import one_thread
from lookalike.core.types import Match
from lookalike.core.vectors import FloatArray, pack
from lookalike.dialects import Filter, Statement
from lookalike.index.holding import HeldIndex
from lookalike.index.ivf import Ids, Index
from lookalike.index.loading import load
from lookalike.index.memory import MemoryIndex
from lookalike.index.store import IndexStore
from lookalike.search.exact import exact_statement, search_exactly
from lookalike.search.held import HeldSearch
from lookalike.search.in_memory import pays, search_in_memory
from lookalike.search.indexed import IndexedSearch
from lookalike.search.options import MAX_K, Asked, SearchOptions
from lookalike.search.ranking import Found, above
from lookalike.search.trace import Trace

_WIDTH, _WIDTH_GROWTH = 256, 4


class Searcher:
    """Searches one table, through its index if there is one.

    where: filter of rows. held: the index in memory, if it is held there.
    """

    def __init__(
        self, store: IndexStore, where: Filter | None = None, held: HeldIndex | None = None
    ) -> None:
        self._store = store
        self._where = where
        self._held = HeldSearch(store.table, held, where) if held else None
        self._indexed = IndexedSearch(store, where)

    def statement(self, asked: Asked) -> Statement:
        """Return a statement that answers by itself, from what `search` would read first."""
        query, options, left_out = asked
        wider = _widened(options, len(left_out) + options.offset)
        table, dialect = self._store.table, self._store.table.dialect
        index = None if wider.exact else self._store.load()
        planned = None
        if index is not None and not wider.is_exact(index):
            planned = self._indexed.planned(index, query, wider, Trace())
        if index is not None and planned is not None:
            read = self._indexed.statement(index, query, planned)
            columns = "id, image_name, embedding, is_coded"
        else:
            read = exact_statement(table, query, wider, self._where)
            columns = "id, embedding, image_name"
        least = options.floor
        if planned is not None or not dialect.ranks(table.metric):
            read = dialect.ranked(read, columns, table.metric, pack(query), least)
            least = None  # it has left those out
        return dialect.page(read, options.k, options.offset, left_out, least)

    def search(self, asked: Asked, trace: Trace) -> Found:
        """Return the nearest rows without left_out, ties by id.

        Pages are cut from one ranking: the first page as it was returned, followed by what wider
        searches find in addition. So no row appears twice, and a row that the first page missed
        appears later.
        """
        query, options, left_out = asked
        ranking: dict[int, Match] = {}
        have_paths = []
        with one_thread():
            for wanted in self._widths(options):
                found = _widened(options, wanted - options.k + len(left_out))
                wider = self._search(query, found, trace)
                for match in wider.matches:
                    ranking.setdefault(match.id, match)
                have_paths.append(wider.has_paths)
                if len(wider.matches) < found.k:
                    break  # no more rows
        page = [match for match in ranking.values() if match.id not in left_out]
        page = page[options.offset : options.offset + options.k]
        return Found(wider.plan, page, all(have_paths))

    def search_many(
        self, many: Sequence[Asked], *, notify: Callable[[str], None] = lambda line: None
    ) -> list[Found]:
        """Return each query's results, in order; in few round trips if possible.

        The index is loaded into memory for the call where that pays. notify: told of a reason
        against it.
        """
        found = self._search_at_once(many, notify) if len(many) > 1 and self._where is None else {}
        return [
            found[number] if number in found else self.search(asked, Trace())
            for number, asked in enumerate(many)
        ]

    def _search_at_once(
        self, many: Sequence[Asked], notify: Callable[[str], None]
    ) -> dict[int, Found]:
        """Return results by query number, for queries that the index answers at once."""
        index = None if all(each.options.exact for each in many) else self._store.load()
        if index is None:
            return {}
        batch = {
            number: Asked(each.embedding, _widened(each.options, len(each.left_out)))
            for number, each in enumerate(many)
            if not each.options.offset and not each.options.is_exact(index)
        }
        if (loaded := self._in_memory(index, batch.values(), notify)) is not None:
            memory, tail = loaded
            answers = search_in_memory(self._store.table, memory, list(batch.values()), tail)
        else:
            with one_thread():
                answers = self._indexed.search_many(index, list(batch.values()))
        found = {}
        for number, matches in zip(batch, answers, strict=True):
            if matches is not None:
                kept = [each for each in matches if each.id not in many[number].left_out]
                found[number] = Found("at once", kept[: many[number].options.k])
        return found

    def _in_memory(
        self, index: Index, many: Collection[Asked], notify: Callable[[str], None]
    ) -> tuple[MemoryIndex, Ids] | None:
        """Return the held index, or a copy if loading it pays for itself in these searches.

        Then the ids of the rows without codes.
        """
        if self._held is not None and (fresh := self._held.fresh()) is not None:
            return fresh
        memory = None
        if pays(index, [each.options for each in many]):
            memory = load(self._store, notify=notify)
        return None if memory is None else (memory, memory.tail)

    def _widths(self, options: SearchOptions) -> Iterator[int]:
        """Yield the result counts of a page's searches: the first page, then wider ones."""
        last = options.offset + options.k
        if not options.offset or options.is_exact(self._store.load(or_last=True)):
            yield last
            return
        yield min(options.k, options.offset)
        width = _WIDTH
        while width < last:
            yield width
            width *= _WIDTH_GROWTH
        yield min(width, MAX_K)

    def _search(self, query: FloatArray, options: SearchOptions, trace: Trace) -> Found:
        if self._held is not None and (found := self._held.search(query, options, trace)):
            return found._replace(matches=above(found.matches, options))
        with trace.step("load the index"):
            # A filtered search reads codes before the statement that checks their generation.
            index = None if options.exact else self._store.load(or_last=self._where is None)
        planned = None
        if index is not None and not options.is_exact(index):
            planned = self._indexed.planned(index, query, options, trace)
        if index is not None and planned is not None:
            matches = self._indexed.search(index, query, planned, trace)
            if matches is not None:
                plan = "codes" if index.n_cells == 1 else "cells and codes"
                return Found(plan, above(matches, options))
        plan = "exact" if self._where is None else "filter first"
        matches = search_exactly(self._store, query, options, self._where, trace)
        return Found(plan, above(matches, options))


def _widened(options: SearchOptions, more: int) -> SearchOptions:
    """Return options for this many more results, without offset."""
    return replace(options, k=options.k + more, offset=0)
