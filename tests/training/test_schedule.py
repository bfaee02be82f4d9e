"""The learning rate of a training."""

import math

import numpy as np

from kerasseg import training


def test_the_schedule_rises_along_a_line_and_falls_along_a_cosine():
    schedule = training.cosine_with_warmup(0.3, 50, warmup=0.2)
    rates = [float(schedule(step)) for step in range(51)]
    rise = [0.03 + (0.3 - 0.03) * step / 10 for step in range(10)]
    fall = [0.15 * (1 + math.cos(math.pi * step / 40)) for step in range(41)]
    np.testing.assert_allclose(rates, rise + fall, atol=1e-7)
