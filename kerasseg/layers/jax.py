"""What only JAX has: argmax pooling whose gradients are written out.

JAX derives the gradient of a value that is copied over its window as a sum over the window, which
takes twice as long on small maps. Like all functions with a gradient of their own, these have no
forward-mode derivative (`jax.jvp`).
"""

import functools

import jax

from kerasseg.layers import argmax_ops

# --- Argmax pooling and unpooling -----------------------------------------------------------------


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def max_pool(windows, x):
    return argmax_ops.max_pool(windows, x)


def pool_and_remember(windows, x):
    pooled, argmax = argmax_ops.max_pool(windows, x)
    return (pooled, argmax), (argmax, x[:0])  # no elements, but the height and width


def max_pool_backward(windows, remembered, upstream):
    argmax, outline = remembered
    return (argmax_ops.max_pool_gradient(windows, upstream[0], argmax, outline),)


max_pool.defvjp(pool_and_remember, max_pool_backward)


def max_unpool(windows, values, argmax, like=None):
    return unpool(windows, values, argmax, None if like is None else like[:0])


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def unpool(windows, values, argmax, outline):
    return argmax_ops.max_unpool(windows, values, argmax, outline)


def unpool_and_remember(windows, values, argmax, outline):
    return argmax_ops.max_unpool(windows, values, argmax, outline), argmax


def unpool_backward(windows, argmax, upstream):
    return argmax_ops.max_unpool_gradient(windows, upstream, argmax), None, None


unpool.defvjp(unpool_and_remember, unpool_backward)


# --- Gradients ------------------------------------------------------------------------------------


def gradient(function, x):
    return jax.grad(function)(x)
