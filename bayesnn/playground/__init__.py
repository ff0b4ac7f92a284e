"""The playground: MLE, MAP and posterior of a network, live under sliders."""

from bayesnn.playground.notebook import explore

__all__ = ["explore"]
