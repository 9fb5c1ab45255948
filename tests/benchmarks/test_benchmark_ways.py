"""The ways to search that are compared find the same, alone, together and in fresh processes."""

import threading

import numpy as np
import pytest

from benchmarks import fresh, huge, mariadb, server, side_by_side
from benchmarks.clients import Processes, by_threads
from benchmarks.data import SEED
from benchmarks.dataset import Dataset, K
from benchmarks.figures import Figures
from benchmarks.ground_truth import ground_truth, recall_at_k
from benchmarks.synthetic import Process, Recipe
from benchmarks.ways import CODES, MARIADB, SQL, VECTORS, Lookalike, MariaDB
from tests import mariadb_server
from tests.conftest import SHARED_HOME

WAYS = (None, "codes", "vectors")
QUERIES = 40


@pytest.fixture
def dataset(tmp_path):
    rows = Process(32, Recipe(), SEED).rows(0, 1000 + QUERIES)
    return Dataset("small", rows[QUERIES:], rows[:QUERIES], tmp_path)


@pytest.fixture
def filled(dataset, database_url, db):
    """The URL of the dataset's collection, without an index."""
    server.fill(dataset.name, dataset.base, database_url)
    return database_url


@pytest.fixture
def indexed(filled, db):
    """The same with an index."""
    assert db.collection("small").index.build()
    return filled


def test_filling_by_chunks(dataset, database_url, db):
    assert server.fill("small", dataset.base, database_url, chunk=300) > 0
    collection = db.collection("small")
    assert collection.count() == dataset.n
    assert collection.search(dataset.base[999], k=1)[0].image_name == "v999"
    assert collection._state.index.load() is None


@pytest.mark.parametrize("held", WAYS)
def test_each_way_finds_the_same(dataset, indexed, held):
    with Lookalike(indexed, "small", held).open() as searcher:
        assert (searcher.collection._state.held is None) is (held is None)
        plan = searcher.collection.explain(dataset.queries[0]).plan
        assert ("memory" in plan, "float32" in plan) == (held is not None, held == "vectors")
        found = [searcher.search(query) for query in dataset.queries]
        assert recall_at_k(found, ground_truth(dataset), K) > 0.95
        assert searcher.search_many(dataset.queries) == found


def test_fewer_rows_than_results(database_url, db):
    server.fill("few", np.eye(3, 8, dtype=np.float32), database_url)
    with Lookalike(database_url, "few").open() as searcher:
        found = searcher.search(np.eye(8, dtype=np.float32)[1])
    assert found[0] == 1 and sorted(found) == [-1] * 7 + [0, 1, 2]


def test_an_index_that_cannot_be_held(filled):
    """The benchmark stops, and does not measure SQL in its place."""
    way = Lookalike(filled, "small", "codes")
    with pytest.raises(RuntimeError, match="not in memory"), way.open():
        pass


def test_threads_share_a_way(dataset):
    asked = set()

    class Noting:
        def search(self, query):
            asked.add((threading.get_ident(), query.tobytes()))

    assert by_threads(Noting(), dataset.queries, n=2, seconds=0.05) > 40
    assert len({thread for thread, _ in asked}) == 2
    assert {query for _, query in asked} == {query.tobytes() for query in dataset.queries}


@pytest.mark.nightly
def test_processes_of_clients(dataset, indexed):
    with Processes(Lookalike(indexed, "small", "codes"), dataset.queries, n=2) as clients:
        assert clients.memory > 20_000_000
        assert clients.rate(0.2) > 1
        assert clients.rate(0.2) > 1
    assert [process.exitcode for process in clients._processes] == [0, 0]


@pytest.mark.nightly
def test_processes_that_fail_are_not_waited_for(filled, dataset, capfd):
    with pytest.raises(EOFError):
        Processes(Lookalike(filled, "none", "codes"), dataset.queries, n=2)
    assert "none" in capfd.readouterr().err


@pytest.mark.nightly
def test_a_fresh_process_builds_and_loads(dataset, filled, db):
    built = fresh.run("build", filled, "small")
    assert built.seconds > 0 and built.peak > built.before > 0 == built.held
    assert db.collection("small")._state.index.load() is not None
    codes, vectors = (fresh.run(what, filled, "small") for what in ("codes", "vectors"))
    assert codes.held + dataset.base.nbytes <= vectors.held < codes.peak < 500_000_000


@pytest.mark.nightly
def test_the_table_of_all_ways(dataset, database_url, db, capsys):
    figures = side_by_side.compare(
        dataset,
        database_url,
        more=dataset.queries,
        seconds=0.1,
        rounds=1,
        home=SHARED_HOME,
    )
    side_by_side.report(dataset, figures, side_by_side.TARGETS[1_000_000])
    lines = capsys.readouterr().out.splitlines()
    ways = [SQL, CODES, VECTORS, MARIADB]
    assert "| | " + " | ".join(ways) + " |" in lines
    rows = [line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")]
    assert rows[1:] == list(side_by_side.ROWS)
    assert all(figures.value(side_by_side.RECALL, way) > 0.9 for way in ways)
    assert sum(line.startswith(("reached: ", "MISSED: ")) for line in lines) == 7


def test_targets_name_figures_of_the_table():
    for target in [each for targets in side_by_side.TARGETS.values() for each in targets]:
        assert target.figure in side_by_side.ROWS
        assert {target.way, target.to} <= {SQL, CODES, VECTORS, MARIADB, None}


@pytest.mark.nightly
def test_mariadb_counts_rows_from_0(dataset):
    with mariadb_server.running(SHARED_HOME) as socket:
        with mariadb.connect(socket) as connection:
            mariadb.create_table(connection, dataset.dim)
            mariadb.insert(connection, dataset.base)
        with MariaDB(socket).open() as searcher:
            found = [searcher.search(query) for query in dataset.queries[:5]]
    assert [row[0] for row in found] == ground_truth(dataset).ids[:5, 0].tolist()


@pytest.mark.nightly
def test_huge_data_are_made_once_and_compared(tmp_path, database_url, db):
    dataset = huge.made(2000, tmp_path)
    assert dataset.base.shape == (2000, huge.DIM) and len(dataset.queries) == huge.QUERIES
    stamp = (tmp_path / "huge.npy").stat().st_mtime_ns
    assert huge.made(1000, tmp_path).n == 1000
    assert (tmp_path / "huge.npy").stat().st_mtime_ns == stamp
    figures = huge.compare(dataset, database_url)
    assert figures.value(side_by_side.RECALL, CODES) > 0.9
    assert figures.value(side_by_side.P50, CODES) and figures.value(huge.BUILDER, SQL)


def test_turns_start_with_another_way_each_time(dataset):
    """And every way answers every query."""
    asked = []

    class Noting:
        def __init__(self, name):
            self.name = name

        def search(self, query):
            asked.append(self.name)
            return [0] * K

    figures = Figures(("a", "b"))
    side_by_side.take_turns(figures, {name: Noting(name) for name in "ab"}, dataset)
    measured = asked[2 * QUERIES :]
    block = QUERIES // side_by_side.BLOCKS
    assert measured[: 4 * block] == ["a"] * block + ["b"] * 2 * block + ["a"] * block
    assert measured.count("a") == measured.count("b") == QUERIES
