"""What can be taken back."""

from lookalike.web.undo import Undo, Undos


def undo_of(rows: int) -> Undo:
    return Undo("photos", "removed", rows, lambda: "back")


def test_a_token_is_good_once():
    undos = Undos()
    token = undos.keep(undo_of(1))
    assert undos.take("other") is None
    assert undos.take(token).take_back() == "back"
    assert undos.take(token) is None


def test_a_failed_one_can_be_tried_again():
    undos = Undos()
    token = undos.keep(undo_of(1))
    undos.restore(token, undos.take(token))
    assert undos.take(token) is not None


def test_the_oldest_go_first():
    undos = Undos(limit=2, most_rows=100)
    one, two, three = (undos.keep(undo_of(10)) for _ in range(3))
    assert undos.take(one) is None
    large = undos.keep(undo_of(1000))
    assert [undos.take(token) is None for token in (two, three, large)] == [True, True, False]
