"""Why sigmoid goes with cross-entropy: with the squared error a unit that is badly wrong learns slowest of all.

Document 004. One sigmoid unit, one input of 1, target 0, from weights that answer 0.98: its answer and its δ.
With the squared error δ = (ŷ − t) ŷ (1 − ŷ) vanishes where ŷ is wrong and sure; with cross-entropy δ = ŷ − t.
"""

import matplotlib.pyplot as plt
import numpy as np

import deltarule as dr

X, t = np.array([[1.0]]), np.array([0.0])
figure, axes = plt.subplots(1, 2, figsize=(8, 3.2))
for cost in ("squared error", "binary cross-entropy"):
    net = dr.Network("1/1", output="sigmoid", cost=cost, dtype="float64")
    net.theta = [2.0, 2.0]
    answers, deltas = [], []
    for _ in range(300):
        tr = dr.trace(net, X[0], t[0])
        answers.append(tr.y[0])
        deltas.append(tr[1].delta[0])
        dr.train(net, X, t, optimizer="sgd", learning_rate=0.15, epochs=1, verbose=False)
    axes[0].plot(answers, label=cost)
    axes[1].plot(deltas, label=cost)
    print(f"{cost}: ŷ = {answers[0]:.3f} at first, {answers[50]:.3f} after 50 updates, {answers[-1]:.3f} after 300")
axes[0].set(xlabel="update", ylabel="ŷ (wanted: 0)", ylim=(0, 1))
axes[1].set(xlabel="update", ylabel="δ = ∂C/∂z")
axes[1].legend(loc="upper right")
figure.tight_layout()
figure.savefig("slow_sigmoid.svg")
