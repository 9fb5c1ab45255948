"""Which cores the threads of a server run on."""

import os

import anyio
import pytest

from lookalike.web.work import Work

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="only Linux lets a thread choose"
)


def test_searches_share_a_core_and_the_model_has_all():
    every = os.sched_getaffinity(0)
    work = Work(searches=3)

    async def cores():
        return (
            await work.run(os.sched_getaffinity, 0),
            await work.embed(os.sched_getaffinity, 0),
            await work.decode(os.sched_getaffinity, 0),
        )

    searching, embedding, decoding = anyio.run(cores)
    work.close()
    assert searching == {max(every)}
    assert embedding == decoding == every
    assert os.sched_getaffinity(0) == every
