"""The algebra of queries."""

import pytest

from lookalike import Image, InputError, Mix, Query, Text


def test_terms_add_up_with_their_weights():
    a, b, c = Image("a.jpg"), Text("at night"), Query(7)
    mix = a + 0.5 * b - c * 2
    assert mix.weighted == ((1, a), (0.5, b), (-2, c))
    assert (-mix).weighted == ((-1, a), (-0.5, b), (2, c))
    assert (2 * (a - b)).weighted == ((2, a), (-2, b))
    assert (a - (b - c)).weighted == ((1, a), (-1, b), (1, c))


def test_a_mix_can_be_made_of_weights_and_terms():
    a, b = Image("a.jpg"), Text("red")
    assert Mix.of([(1, a), (-0.5, a + b)]).weighted == ((1, a), (-0.5, a), (-0.5, b))


@pytest.mark.parametrize("weight", ["2", None, True, float("nan"), float("inf"), 1j])
def test_a_weight_is_a_number(weight):
    with pytest.raises(InputError, match="is not a weight"):
        weight * Text("red") if not isinstance(weight, str) else Text("red") * weight


def test_what_is_no_term_must_be_wrapped():
    with pytest.raises(InputError, match=r"wrap it, as Query\('b.jpg'\)"):
        Image("a.jpg") + "b.jpg"
