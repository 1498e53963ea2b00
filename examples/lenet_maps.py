"""What LeNet sees: the maps of one digit, layer by layer, and the errors on their way back.

Document 003. A small LeNet on scikit-learn's digits of 8 × 8; blue is negative, red positive. Above, the activations of
the two convolutions and poolings; below, δ of the same layers, for the digit's own class.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import deltarule as dr

X, t = load_digits(return_X_y=True)
X = (X / 16).reshape(-1, 1, 8, 8)
net = dr.Network("1x8x8/conv(6,3,pad=1)/subsample(2)/conv(12,3,pad=1)/subsample(2)/30/10", activation="tanh", seed=0)
dr.train(net, X, t, epochs=8, learning_rate=0.003, verbose=False)
print(f"{net.evaluate(X, t)['accuracy']:.1%} right")

row = int(np.argmax(t == 3))
tr = dr.trace(net, X[row], t[row])
shown = [(tr[k].layer, tr[k].a[:6], tr[k].delta[:6]) for k in range(1, 5)]
figure, axes = plt.subplots(8, 7, figsize=(8, 9))
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
for k, (layer, *both) in enumerate(shown):
    for what, (name, maps) in enumerate(zip(("a", "δ"), both)):
        limit = np.abs(maps).max()
        for axis, image in zip(axes[4 * what + k, 1:], maps):
            axis.imshow(image, cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes[4 * what + k, 0].text(
            0, 0.5, f"{name} of layer {k + 1}\n{layer.name}\n±{limit:.2g}", fontsize=8, va="center"
        )
figure.tight_layout(pad=0.3)
figure.savefig("lenet_maps.png", dpi=110)
