"""Pre-processing by a model built before: the encoder of an autoencoder feeds a classifier.

The autoencoder 64/16/64 learns to rebuild digits without their labels; its first stage, frozen, then feeds a softmax
layer that sees only 100 labels. Run: python examples/autoencoder.py
"""

from sklearn.datasets import load_digits

import deltarule as dr

X, t = load_digits(return_X_y=True)
X = X / 16
labelled, unseen = slice(0, 100), slice(1000, None)

autoencoder = dr.Network("64/16:sigmoid/64:sigmoid", cost="squared error")
dr.train(autoencoder, X[:1000], X[:1000], epochs=100, learning_rate=0.003, verbose=False)
encoder = autoencoder[:1].frozen()


def accuracy(first: dr.Network) -> float:
    """Held-out accuracy of a softmax layer on top of `first`, trained on the labelled rows."""
    net = dr.Network([first, dr.Dense(10)])
    dr.train(net, X[labelled], t[labelled], epochs=300, learning_rate=0.02, verbose=False)
    return net.evaluate(X[unseen], t[unseen])["accuracy"]


untrained = dr.Network("64/16:sigmoid", cost="squared error").frozen()
print(f"softmax on 16 features of the autoencoder:      {accuracy(encoder):.3f} held out")
print(f"softmax on 16 features of an untrained layer:   {accuracy(untrained):.3f} held out")
