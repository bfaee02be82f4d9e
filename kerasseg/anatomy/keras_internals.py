"""The private API of Keras that this package uses; a test fails if Keras changes it."""

__all__ = ["all_layers", "filled_in", "functional_graph", "nodes", "parts", "seed_states"]


def functional_graph(model):
    """The functional model that holds a model's graph; `None` if there is none to be read."""
    graph = getattr(model, "_functional", None) or model
    return graph if hasattr(graph, "_nodes_by_depth") else None


def nodes(graph):
    """The calls of a functional model, those of its inputs left out, in an order to make them in.

    Each has an `operation` and `outputs`; `filled_in` gives its arguments.
    """
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        yield from (node for node in graph._nodes_by_depth[depth] if not node.is_input)


def filled_in(node, known):
    """The positional and keyword arguments of a call, with other tensors by the `id` of its own."""
    return node.arguments.fill_in(known)


def parts(layer):
    """The layers directly inside a layer, in the order in which they were assigned."""
    return layer._layers


def all_layers(model):
    """Every layer inside a model, those inside layers and nested models too."""
    return list(model._flatten_layers(include_self=False))


def seed_states(model):
    """The variables from which the random layers of a model draw, in a fixed order."""
    return [variable for variable in model.variables if variable.name == "seed_generator_state"]
