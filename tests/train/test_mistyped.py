"""What is meant by settings that do not exist."""

import pytest

from birdedge.train.mistyped import did_you_mean, is_setting


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("trainer.epoch", "trainer.epochs"),
        ("epochs", "trainer.epochs"),
        ("trainer.lr", "optimizer.lr"),
        ("data.seed", "seed"),
        ("batchsize", "data.batch_size"),
        ("quantisation_aware", "quantization_aware"),
        ("preprocess.input_sizes", "preprocess.input_size"),
    ],
)
def test_the_nearest_setting_is_named(typed: str, meant: str) -> None:
    assert not is_setting(typed)
    assert is_setting(meant)
    assert did_you_mean(typed) == f"; did you mean {meant}?"


def test_nothing_is_named_where_nothing_is_near() -> None:
    assert did_you_mean("foo.bar") == ""
