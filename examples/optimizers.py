"""Optimisers racing down one surface: the cost of two weights, the others held, and the way that each takes.

Document 004. The surface is a network's own: the two weights of one tanh unit that is fitted to ten points. All begin
at the same place, each with a rate that suits it.
"""

import matplotlib.pyplot as plt
import numpy as np

import deltarule as dr

X = np.linspace(-2, 2, 10)[:, None]
t = np.tanh(1.5 * X[:, 0] - 1.0)
rates = {
    "sgd": 0.4, "momentum(0.9)": 0.03, "nesterov(0.9)": 0.03, "adagrad": 0.5, "rmsprop": 0.05, "adam": 0.08,
}  # fmt: skip
start = [-2.0, 2.0]
surface = dr.Network("1/1", output="tanh", cost="squared error", dtype="float64")
J = surface.cost_function(X, t)
w, b = np.linspace(-3, 5, 161), np.linspace(-4, 4, 161)
heights = np.array([[J([wk, bk])[0] for wk in w] for bk in b])


class Way(dr.Callback):
    """Keeps θ after every epoch: an epoch is an update here."""

    def on_begin(self, run):
        self.points = [run.net.theta.copy()]

    def on_epoch(self, run):
        self.points.append(run.net.theta.copy())


figure, axis = plt.subplots(figsize=(7, 5))
shades = axis.contourf(w, b, np.log10(heights + 1e-3), 16, cmap="Greys", vmax=4)  # light enough for lines on it
for k, (optimizer, rate) in enumerate(rates.items()):
    net, way = dr.Network("1/1", output="tanh", cost="squared error", dtype="float64"), Way()
    net.theta = start
    history = dr.train(
        net, X, t, optimizer=optimizer, learning_rate=rate, epochs=400, batch_size=10, verbose=False, callbacks=[way]
    )
    axis.plot(*np.transpose(way.points), lw=3.6 - 0.45 * k, label=f"{optimizer}, η {rate}")
    axis.plot(*net.theta, "ko", ms=3, zorder=3)
    print(f"{optimizer}: cost {history.cost[-1]:.2e} after 400 updates")
axis.plot(*start, "ko", ms=5)
axis.annotate("start", start, xytext=(-8, -4), textcoords="offset points", ha="right", va="top")
axis.set(xlabel="weight w", ylabel="bias b")
axis.legend()
figure.colorbar(shades, label="log₁₀ C")
figure.tight_layout()
figure.savefig("optimizers.svg")
