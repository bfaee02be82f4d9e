"""What the training needs of Keras that has no public name; its test says if Keras changes it."""

__all__ = ["all_layers", "seed_states"]


def all_layers(model):
    """Every layer inside a model, those inside layers and nested models too."""
    return list(model._flatten_layers(include_self=False))


def seed_states(model):
    """The variables from which the random layers of a model draw, in a fixed order."""
    return [variable for variable in model.variables if variable.name == "seed_generator_state"]
