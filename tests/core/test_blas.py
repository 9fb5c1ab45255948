import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from lookalike.core.threads import one_thread


def threads():
    """The threads of numpy's own library: other tests load scipy, faiss and torch, with theirs."""
    assert np.ones((2, 2)) @ np.ones(2) @ np.ones(2) == 4  # numpy's library is loaded
    [numpys] = [
        library
        for library in threadpool_info()
        if library["user_api"] == "blas" and "numpy" in library["filepath"]
    ]
    return numpys["num_threads"]


def test_one_thread_until_the_last_of_overlapping_blocks_ends():
    with threadpool_limits(limits=2, user_api="blas"):
        first, second = one_thread(), one_thread()
        first.__enter__()
        second.__enter__()
        assert threads() == 1
        first.__exit__(None, None, None)
        assert threads() == 1
        second.__exit__(None, None, None)
        assert threads() == 2
        with one_thread():
            assert threads() == 1
        assert threads() == 2
