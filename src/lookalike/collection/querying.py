"""Search a collection: embed queries, search, rate and explain."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Unpack

from lookalike.attributes.catalog import filter_of
from lookalike.attributes.store import attributes_of
from lookalike.collection.matches import Matches
from lookalike.collection.ordering import order_of, values_of
from lookalike.collection.state import CollectionState
from lookalike.core.arguments import check_many
from lookalike.core.errors import InputError
from lookalike.core.types import Explanation
from lookalike.dialects import Filter, Order, Statement
from lookalike.index.rows import with_keys, with_paths
from lookalike.search.embedding import IMAGE, EmbeddedQuery, embed_query
from lookalike.search.levels import Rater
from lookalike.search.options import Asked, SearchKeywords, SearchOptions
from lookalike.search.percentiles import Percentiles, at_percentile
from lookalike.search.ranking import Found, ordered
from lookalike.search.searcher import Searcher
from lookalike.search.source import AnyQuery
from lookalike.search.trace import Trace


@dataclass(frozen=True)
class _Prepared:
    """An embedded query with its options."""

    query: EmbeddedQuery
    options: SearchOptions
    percentiles: Percentiles | None

    @property
    def asked(self) -> Asked:
        left_out = self.query.left_out(self.options.exclude_self)
        return Asked(self.query.embedding, self.options, left_out)


def search_many(
    state: CollectionState, queries: Sequence[AnyQuery], **keywords: Unpack[SearchKeywords]
) -> list[Matches]:
    """Return the results of each query, in their order."""
    return state.connection.read(lambda: _search_many(state, queries, keywords))


def _search_many(
    state: CollectionState, queries: Sequence[AnyQuery], keywords: SearchKeywords
) -> list[Matches]:
    check_many("queries", queries, "queries")
    options, where, order = _checked(state, SearchOptions(**keywords))
    prepared = [_prepare(state, query, options, Trace()) for query in queries]
    searcher = Searcher(state.index, where, state.held)
    found = searcher.search_many([each.asked for each in prepared], notify=state.notify)
    return _rated(state, prepared, found, order)


def explain(
    state: CollectionState, query: AnyQuery, **keywords: Unpack[SearchKeywords]
) -> Explanation:
    """Run a search and return how it ran."""
    return state.connection.read(lambda: _explain(state, query, keywords))


def _explain(state: CollectionState, query: AnyQuery, keywords: SearchKeywords) -> Explanation:
    trace, (options, where, order) = Trace(), _checked(state, SearchOptions(**keywords))
    prepared = _prepare(state, query, options, trace)
    ran = Searcher(state.index, where, state.held).search(prepared.asked, trace)
    analysis = ""
    if trace.statement is not None:
        analysis = state.connection.value(state.dialect.analyze(trace.statement))
    (found,) = _rated(state, [prepared], [ran], order)
    return Explanation(ran.plan, state.index.plan(), tuple(trace.steps), analysis, tuple(found))


def search_sql(
    state: CollectionState, query: AnyQuery, **keywords: Unpack[SearchKeywords]
) -> Statement:
    """Return a statement that answers a search by itself."""
    options, where, _ = _checked(state, SearchOptions(**keywords))
    if options.order_by is not None:
        raise InputError("the SQL of a search orders by similarity: leave out order_by")
    prepared = _prepare(state, query, options, Trace())
    return Searcher(state.index, where).statement(prepared.asked)


def _checked(
    state: CollectionState, options: SearchOptions
) -> tuple[SearchOptions, Filter | None, Order | None]:
    """Return the options, their filter, and what the results are ordered by."""
    options.check(state.metric)
    order = None if options.order_by is None else order_of(state.table, options.order_by)
    return options, filter_of(state.table, options.where), order


def _prepare(
    state: CollectionState, query: AnyQuery, options: SearchOptions, trace: Trace
) -> _Prepared:
    with trace.step("embed the query"):
        embedded = embed_query(
            state.table, state.model, query, allow_private=options.allow_private_urls
        )
    if embedded.kind != IMAGE:
        options = options.for_words(state.index.load(or_last=True))
    percentiles = state.percentiles.get(embedded.kind)
    return _Prepared(embedded, at_percentile(options, percentiles), percentiles)


def _rated(
    state: CollectionState,
    prepared: Sequence[_Prepared],
    found: Sequence[Found],
    order: Order | None,
) -> list[Matches]:
    """Return each query's matches with levels, paths and, on request, attributes, in order."""
    rater = Rater(state.table, state.model_id, state.model)
    rated = [
        rater.rate(each.query, ran.matches, each.percentiles)
        for each, ran in zip(prepared, found, strict=True)
    ]
    everything = list(chain(*rated))
    if not all(ran.has_paths for ran in found):
        everything = with_paths(state.table, everything)
    options = prepared[0].options if prepared else SearchOptions()
    values = values_of(state.table, order, everything) if order else {}
    if options.include:
        ids = list({match.id for match in everything})
        known = attributes_of(state.table, ids)
        everything = [replace(match, attributes=known.get(match.id, {})) for match in everything]
    remaining = iter(everything)
    pages = [list(islice(remaining, len(matches))) for matches in rated]
    if order:
        pages = [ordered(page, values, is_descending=order.is_descending) for page in pages]
    keyed = iter(with_keys(state.table, list(chain(*pages))))
    return [Matches(islice(keyed, len(page))) for page in pages]
