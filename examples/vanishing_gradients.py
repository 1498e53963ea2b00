"""How gradients vanish with depth: the mean |δ| of every layer of deep networks, before any training.

Document 004. Ten hidden layers of 30 units on scikit-learn's digits; sigmoid's slope is at most 1/4, so that every
layer takes away three quarters and more; tanh and relu with their own initial weights keep δ alive.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import deltarule as dr

X, t = load_digits(return_X_y=True)
X = X / 16
figure, axis = plt.subplots(figsize=(6, 3.6))
for activation in ("sigmoid", "tanh", "relu", "gelu"):
    net = dr.Network("64/" + "30/" * 10 + "10", activation=activation, seed=0)
    tr = dr.trace(net, X[:500], t[:500])
    sizes = [np.abs(layer.delta).mean() for layer in tr]
    axis.semilogy(range(1, len(sizes) + 1), sizes, marker="o", ms=4, label=activation)
    print(f"{activation}: mean |δ| {sizes[0]:.1e} in layer 1, {sizes[-1]:.1e} in layer {len(sizes)}")
axis.set(xlabel="layer", ylabel="mean |δ|", xticks=range(1, 12))
axis.legend()
axis.grid(alpha=0.3)
figure.tight_layout()
figure.savefig("vanishing_gradients.svg")
