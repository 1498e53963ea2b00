"""What the weights of one unit do: its answer over two inputs is a cliff, and they move, turn and steepen it.

Document 001, "adjusting weights moves the location, orientation, and steepness of the cliff".
"""

import matplotlib.pyplot as plt
import numpy as np

import deltarule as dr

weights = {"the unit": (2, 0, 0), "moved by b": (2, 0, 4), "turned by w₁ : w₂": (1.4, 1.4, 0), "steep": (8, 0, 0)}
x = np.linspace(-4, 4, 61)
grid = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2)
net = dr.Network("2/1", output="sigmoid", dtype="float64")

figure, axes = plt.subplots(1, 4, figsize=(12, 3.5), subplot_kw={"projection": "3d"})
for axis, (title, theta) in zip(axes, weights.items()):
    net.theta = theta
    y = net.forward(grid).reshape(len(x), len(x))
    axis.plot_surface(*np.meshgrid(x, x), y, cmap="viridis", rcount=30, ccount=30)
    axis.set(
        title=f"{title}\nw = ({theta[0]:g}, {theta[1]:g}), b = {theta[2]:g}", xlabel="x₁", ylabel="x₂", zlabel="ŷ",
        xticks=[-4, 0, 4], yticks=[-4, 0, 4], zticks=[0, 1],
    )  # fmt: skip
    axis.zaxis.labelpad = -8
    axis.set_box_aspect((1, 1, 0.6), zoom=0.9)
    print(f"{title}: ŷ from {y.min():.3f} to {y.max():.3f}, ½ at x₁ = {-theta[2] / theta[0]:.1f} for x₂ = 0")
figure.tight_layout()
figure.savefig("perceptron_cliff.png", dpi=110)
