"""The SQL shared by all engines; each engine is a small subclass."""

from typing import ClassVar

from lookalike.dialects.statement import Statement
from lookalike.dialects.table import Table
from lookalike.dialects.tables.attributes import AttributesSQL, Kind
from lookalike.dialects.tables.browsing import BrowsingSQL
from lookalike.dialects.tables.collections import CollectionsSQL
from lookalike.dialects.tables.copying import CopyingSQL
from lookalike.dialects.tables.duplicates import DuplicatesSQL
from lookalike.dialects.tables.facts import FactsSQL
from lookalike.dialects.tables.files import FilesSQL
from lookalike.dialects.tables.filters import Filter, FiltersSQL
from lookalike.dialects.tables.index import IndexSQL
from lookalike.dialects.tables.layouts import LayoutsSQL
from lookalike.dialects.tables.levels import LevelsSQL
from lookalike.dialects.tables.memory import MemorySQL
from lookalike.dialects.tables.ranking import RankingSQL
from lookalike.dialects.tables.removal import RemovalSQL
from lookalike.dialects.tables.rows import RowsSQL
from lookalike.dialects.tables.search import SearchSQL
from lookalike.dialects.tables.shards import ShardsSQL
from lookalike.dialects.tables.thresholds import ThresholdsSQL
from lookalike.dialects.tables.user_tables import UserTablesSQL
from lookalike.dialects.tables.versions import VersionsSQL

SERVER_INDEX = "lookalike_vectors"
"""Name of the server's own vector index, where lookalike creates it."""


class Dialect(
    AttributesSQL,
    BrowsingSQL,
    CollectionsSQL,
    CopyingSQL,
    DuplicatesSQL,
    FactsSQL,
    FilesSQL,
    FiltersSQL,
    IndexSQL,
    LayoutsSQL,
    LevelsSQL,
    MemorySQL,
    RankingSQL,
    RemovalSQL,
    RowsSQL,
    SearchSQL,
    ShardsSQL,
    ThresholdsSQL,
    UserTablesSQL,
    VersionsSQL,
):
    """The SQL of a MySQL-compatible server with the VECTOR type of MySQL 9."""

    name = ""
    scheme = "mysql"
    """That of URLs which name the engine."""
    has_nearest = False
    """Whether the server can rank embeddings; then `nearest` is available."""
    indexed_metrics: frozenset[str] = frozenset()
    """The metrics that the server's own vector index serves; empty without one."""
    server_index_edges: int | None = None
    """M of that index if it is HNSW: edges of a node."""
    has_automatic_index = False
    """Whether the server may use an index of its own that nobody has created."""
    needs_server_index = True
    """Whether it is an error if that index cannot be created."""
    unindexed_kinds: frozenset[Kind] = frozenset()
    """Attributes with values of these kinds cannot have an index; of columns, only lists."""
    instead_of_functions = ""
    """What the server has instead of lookalike's functions and procedures; empty where they run."""
    has_vector_results = True
    """Whether results tell a vector from other bytes."""
    sends_text = False
    """Whether embeddings come as text, with all digits, and not as bytes."""
    max_dim = 16383
    """The most dimensions that a collection can have."""
    has_explain_table = True
    """Whether EXPLAIN tells in a table how rows are read, and how many."""
    has_checksums = True
    """Whether it computes CRC32s of embeddings, which tell whether copies in memory are equal."""
    lengths: tuple[float, float] | None = None
    """The least and the largest length of embeddings that it can compare; None for all."""
    needs_embeddings = False
    """Whether a row must have an embedding."""
    session_settings: ClassVar[dict[str, int]] = {}
    """What each session is set to, beside what all engines have."""
    needs_index = True
    """Whether fast searches need lookalike's own index."""
    instead_of_index = ""
    """Why lookalike's own index cannot be built, and what is used instead; empty where it can."""

    @property
    def has_functions(self) -> bool:
        """Whether lookalike's SQL functions and procedures run on the server."""
        return not self.instead_of_functions

    # Identify the server and its features.

    def version(self) -> Statement:
        return Statement("SELECT VERSION()")

    def probes(self) -> list[Statement]:
        """Return statements whose single value is true only on servers of this engine."""
        return [Statement("SELECT VECTOR_DIM(STRING_TO_VECTOR('[1,2]')) = 2")]

    def analyze(self, statement: Statement) -> Statement:
        """Return the EXPLAIN ANALYZE of a statement, with rows and time of each step."""
        return Statement(f"EXPLAIN ANALYZE {statement.sql}", statement.params)

    def ranks(self, metric: str) -> bool:
        """Whether the server can rank embeddings by a metric; then `nearest` is available."""
        return self.has_nearest

    def makes_index(self, metric: str) -> bool:
        """Whether collections get lookalike's own index without asking for it."""
        return self.needs_index or not self.ranks(metric)

    def nearest(
        self,
        table: Table,
        metric: str,
        query: bytes,
        k: int,
        where: Filter | None = None,
        *,
        exact: bool = False,
        embedding: bool = False,
    ) -> Statement:
        """Select the k nearest rows, ranked by the server: id, image_name, similarity.

        exact: compare every row; otherwise the server's own index is used if there is one and no
        filter. embedding: also select its bytes.
        """
        raise NotImplementedError

    def widened(self, statement: Statement, n_candidates: int) -> Statement:
        """Return the statement with the server's index searched so wide."""
        return statement

    # The server's own vector index, for engines that have one.

    def server_indexes(self, table: Table) -> Statement:
        """Select the names of the server's own vector indexes of a table."""
        raise NotImplementedError

    def create_server_index(self, table: Table, metric: str) -> list[Statement]:
        raise NotImplementedError

    def drop_server_index(self, table: Table) -> list[Statement]:
        raise NotImplementedError
