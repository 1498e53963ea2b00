"""Why weights begin at random: hidden units that are alike stay alike, whatever they are trained on.

Document 002, "symmetry breaking". Left: a weight of each of five hidden units through training, all
parameters 0.1 at first; right: drawn at random.
"""

import matplotlib.pyplot as plt
import numpy as np

import deltarule as dr

random = np.random.default_rng(0)
X = random.normal(size=(200, 2))
t = (X[:, 0] * X[:, 1] > 0).astype(int)  # exclusive or, of signs


class Weights(dr.Callback):
    """Keeps W of the first layer after every epoch."""

    def on_begin(self, run):
        self.kept = [run.net.parameters()["1.W"].copy()]

    def on_epoch(self, run):
        self.kept.append(run.net.parameters()["1.W"].copy())


figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), sharex=True, sharey=True)
for axis, alike in zip(axes, (True, False)):
    net = dr.Network("2/5:tanh/1", seed=1)
    if alike:
        net.theta[:] = 0.1
    weights = Weights()
    dr.train(net, X, t, epochs=60, learning_rate=0.02, callbacks=[weights], verbose=False, seed=0)
    axis.plot(np.array(weights.kept)[:, :, 0], lw=1.2)
    accuracy = net.evaluate(X, t)["accuracy"]
    axis.set(title=f"{'all alike' if alike else 'at random'}: {accuracy:.0%} right", xlabel="epoch")
    distinct = len(np.unique(net.parameters()["1.W"].round(5), axis=0))
    print(f"{axis.get_title()}, {distinct} different hidden units of 5")
axes[0].set_ylabel("first weight of each hidden unit")
axes[0].text(2, -0.6, "five lines, one on the other")
figure.tight_layout()
figure.savefig("zero_weights.svg")
