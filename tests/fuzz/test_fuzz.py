"""A small part of `make fuzz`: mutated images go through the whole of `add`."""

import pytest

from tests.fuzz.run import fuzz

pytestmark = pytest.mark.nightly


def test_mutated_images_are_stored_or_failures_and_end_nothing(database_url, tmp_path):
    result = fuzz(tmp_path, database_url, 200, seed=1, time_limit=20.0, heavy=False)
    assert result.problems == []
    assert result.stored + result.failed == 200
    assert result.stored > 20 and result.failed > 20
