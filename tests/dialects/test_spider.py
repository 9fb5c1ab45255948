"""The statements of tables that MariaDB's Spider spreads over several servers."""

import pytest

from lookalike.core.errors import InputError
from lookalike.core.vectors import pack
from lookalike.dialects import Filter, Table, check_shards
from lookalike.dialects.mariadb import MariaDB
from lookalike.dialects.mysql import MySQL
from lookalike.dialects.oceanbase import OceanBase

SPREAD = Table("photos", shards=("one", "two"))
QUERY = pack([3.0, 4.0])


def test_shards_have_the_rows_and_the_head_has_partitions():
    one, two, head = MariaDB().create_spread(SPREAD, 2, "INT")
    assert one.params[0] == two.params[0] and "ENGINE = InnoDB" in one.params[0]
    assert ('server "one"' in one.params[2], 'server "two"' in two.params[2]) == (True, True)
    assert "AUTO_INCREMENT" not in one.params[0] + head.sql
    assert head.sql.endswith(
        "PARTITION BY HASH (id) (PARTITION p0 COMMENT = 'server \"one\"', "
        "PARTITION p1 COMMENT = 'server \"two\"')"
    )


def test_searches_by_the_index_ask_each_shard_for_a_hundred_candidates():
    statement = MariaDB().nearest(SPREAD, "cosine", QUERY, 10)
    assert statement.sql.startswith("SELECT * FROM (SELECT id AS id")
    assert statement.sql.endswith("LIMIT %s) AS w ORDER BY similarity DESC LIMIT %s")
    assert statement.params[-2:] == (100, 10)
    assert MariaDB().nearest(SPREAD, "cosine", QUERY, 80).params[-2:] == (160, 80)
    pushed = MariaDB().pushed(SPREAD, MariaDB().widened(statement, 160))
    assert pushed.sql.startswith(
        "SET STATEMENT spider_direct_order_limit = 9223372036854775807, "
        "in_predicate_conversion_threshold = 0, mhnsw_ef_search = 160 FOR "
    )


def test_exact_and_filtered_searches_rank_in_one_step():
    for options in ({"exact": True}, {"where": Filter("v.id IN (1, 2)", ())}):
        statement = MariaDB().nearest(SPREAD, "cosine", QUERY, 10, **options)
        assert statement.sql.endswith("ORDER BY VEC_DISTANCE_COSINE(embedding, %s), id LIMIT %s")
        assert statement.params[-1] == 10


def test_conditions_that_shards_would_read_otherwise_stay_on_the_head():
    assert MariaDB().on_head(SPREAD, "a = 1") == (
        "((a = 1) OR v.id IN (SELECT -u.id FROM `photos_unsettled` AS u))"
    )
    assert MariaDB().on_head(Table("photos"), "a = 1") == "a = 1"


def test_side_tables_refer_to_rows_of_one_server_alone():
    for dialect in (MariaDB(), MySQL(), OceanBase()):
        for make in (dialect.create_files, dialect.create_facts, dialect.create_distinct):
            made = make(Table("photos"), "INT").sql
            assert "REFERENCES `photos` (id) ON DELETE CASCADE" in made
            assert "PARTITION" not in dialect.create_collection(Table("photos"), 2).sql
    for make in (MariaDB().create_files, MariaDB().create_facts, MariaDB().create_distinct):
        assert "FOREIGN KEY" not in make(SPREAD, "INT").sql


@pytest.mark.parametrize(
    "names", ["one", ["one"], ["one", "ONE"], ["a b", "c"], [1, 2], ['"', "x"]]
)
def test_shards_are_names_of_several_servers(names):
    with pytest.raises(InputError):
        check_shards(names)
