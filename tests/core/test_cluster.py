import pytest

from lookalike import InputError, RayCluster


def test_a_cluster_of_this_machine_is_the_default():
    assert RayCluster() == RayCluster(address=None, workers=(1, None), gpus_per_worker=0.0)
    assert RayCluster("auto", workers=(2, 2), gpus_per_worker=0.5).workers == (2, 2)
    assert RayCluster("[::1]:6379").address == "[::1]:6379"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"address": 5}, "the address of a Ray cluster is 5; give text"),
        ({"address": "~/Pictures"}, "'~/Pictures' is not the address of a Ray cluster"),
        ({"address": "head:"}, "'head:' is not the address of a Ray cluster"),
        ({"address": "s3://x:1"}, "'s3://x:1' is not the address of a Ray cluster"),
        ({"address": "ray://head:10001"}, "give HOST:PORT of its head, or auto"),
        ({"workers": 4}, "workers is 4; give (least, most)"),
        ({"workers": (0, 2)}, "workers are 0 to 2; give 1 or more"),
        ({"workers": (3, 2)}, "workers are 3 to 2; give 1 or more, and no fewer as most"),
        ({"workers": (1.5, None)}, "workers is 1.5; give a whole number"),
        ({"gpus_per_worker": -1}, "gpus_per_worker is -1; give 0 to 1, or a whole number"),
        ({"gpus_per_worker": 1.5}, "gpus_per_worker is 1.5; give 0 to 1, or a whole number"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(InputError) as refused:
        RayCluster(**options)
    assert message in str(refused.value)
