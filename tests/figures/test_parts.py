"""What several figures share: titles, axes, images."""

from kerasseg import figures


def test_a_wrapped_title_breaks_between_words_alone_and_keeps_its_own_lines():
    assert figures.wrapped("The sub-pixel net\nwins", 0.9) == "The\nsub-pixel\nnet\nwins"
