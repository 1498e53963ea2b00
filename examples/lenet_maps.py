"""What LeNet sees: the maps of one digit, layer by layer, and the errors on their way back.

Document 003. A small LeNet on scikit-learn's digits of 8 × 8; blue is negative, red positive. Left, the digit and the
activations of the two convolutions and poolings, six maps of each; right, ∂C/∂x and δ of the same layers.
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
names = [f"layer {layer.stage}\n{layer.layer.name}" for layer in tr.layers[:4]]
up = [tr.x, *(layer.a[:6] for layer in tr.layers[:4])]
back = [tr.dx, *(layer.delta[:6] for layer in tr.layers[:4])]

figure = plt.figure(figsize=(11, 5.4))
halves = (("x", "a, on the way up", up), ("∂C/∂x", "δ, on the way back", back))
for side, (first, title, rows) in zip(figure.subfigures(1, 2), halves):
    side.suptitle(f"{title}; blue: negative, red: positive")
    axes = side.subplots(5, 6, gridspec_kw={"left": 0.17, "right": 0.98, "bottom": 0.02, "top": 0.91})
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    for line, name, maps in zip(axes, [first, *names], rows):
        limit = np.abs(maps).max()
        line[0].set_ylabel(f"{name}\n±{limit:.2g}", rotation=0, ha="right", va="center")
        for axis, image in zip(line, maps):
            axis.imshow(image, cmap="RdBu_r", vmin=-limit, vmax=limit)
figure.savefig("lenet_maps.png", dpi=110)
