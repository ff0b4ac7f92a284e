"""The playground: MLE, MAP and posterior of a network, live under sliders."""
