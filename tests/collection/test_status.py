"""The status of a collection: its attributes and its threshold."""

from lookalike import AttributeStatus


def test_attributes_and_their_rows_are_listed(engine):
    own = engine.collection("own", dim=2)
    own.add_embeddings(list("abc"), [[1, i] for i in range(3)])
    assert own.status().attributes == () and own.attributes.list() == []
    engine.rows("ALTER TABLE own ADD stock INT, ADD sale BOOLEAN, ADD note TEXT, ADD Plan DATE")
    engine.rows("UPDATE own SET stock = 5, sale = (id = 1) WHERE id < 3")
    own.attributes.set(
        [
            {"path": "a", "price": 5, "tags": ["x"], "size": 40, "stock": None},
            {"path": "b", "price": 7, "size": "M", "gone": 1},
        ]
    )
    own.attributes.set([{"path": "b", "gone": None}])
    engine.rows('UPDATE own SET attributes = \'{"theirs": true, "price": null}\' WHERE id = 3')
    engine.rows("UPDATE own SET attributes = JSON_SET(attributes, '$.odd', JSON_OBJECT())")
    listed = [
        AttributeStatus("Plan", "text", 0),
        AttributeStatus("gone", "number", 0),
        AttributeStatus("note", "text", 0),
        AttributeStatus("price", "number", 2),
        AttributeStatus("sale", "boolean/number", 2),
        AttributeStatus("size", "number/text", 2),
        AttributeStatus("stock", "number", 1),
        AttributeStatus("tags", "list", 1),
        AttributeStatus("theirs", "boolean", 1),
    ]
    assert own.attributes.list() == listed
    assert own.status().attributes == tuple(listed)
    assert engine.status() == [own.status()]


def test_a_key_that_a_column_hides_is_counted_by_the_column(engine):
    own = engine.collection("own", dim=2)
    own.add_embeddings(list("abc"), [[1, i] for i in range(3)])
    own.attributes.set([{"path": "a", "price": 5}, {"path": "b", "price": 5}])
    engine.rows("ALTER TABLE own ADD price INT")
    engine.rows("UPDATE own SET price = 7 WHERE id = 3")
    assert own.attributes.list() == [AttributeStatus("price", "number", 1)]


def test_the_stored_threshold_is_told(engine):
    own = engine.collection("own", dim=2)
    own.add_embeddings(["a"], [[1, 1]])
    assert own.status().threshold is None
    own.threshold.set(0.8)
    assert own.status().threshold == 0.8
    engine.rows("DROP TABLE lookalike_thresholds")
    assert own.status().threshold is None


def test_a_table_of_the_users_own_has_a_status(engine):
    engine.rows(
        "CREATE TABLE shoes (id INT PRIMARY KEY AUTO_INCREMENT, image_name VARCHAR(255), "
        "embedding VECTOR(2), brand VARCHAR(20))"
    )
    engine.rows("INSERT INTO shoes (image_name, brand) VALUES ('x', 'acme')")
    status = engine.collection("shoes").status()
    assert status.attributes == (AttributeStatus("brand", "text", 1),)
    assert status.threshold is None
