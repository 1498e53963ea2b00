"""Networks do not overfit as polynomials do: twenty points, polynomials, and networks of 1 to 100 hidden units.

Document 004's homework, after Lawrence and Giles (2000): −cos x, then cos 3(x − π), x from 0 to 2π, with noise; few
points in the slow half, many in the fast one. The polynomial of degree 15 leaves the points' range at once; networks of
any size, trained the same way, stay near the curve.
"""

import matplotlib.pyplot as plt
import numpy as np

import deltarule as dr

x = np.array([7, 14, 21, 28, 35, *range(42, 85, 3)]) / 84  # of 2π
y = np.array([
    -0.7556, -0.3121, 0.1305, 0.6931, 0.8443, 0.8332, 0.6944, 0.2271, -0.3200, -0.6561, -1.2077, -0.7973, 0.1178,
    0.3741, 0.9205, 0.8822, 0.3780, -0.2713, -0.9423, -0.7742,
])  # fmt: skip
grid = np.linspace(0.04, 1, 300)
true = np.where(grid < 0.5, -np.cos(2 * np.pi * grid), np.cos(3 * (2 * np.pi * grid - np.pi)))

figure, axes = plt.subplots(2, 4, figsize=(12, 5), sharex=True, sharey=True)
for axis, size in zip(axes.flat, (2, 5, 10, 15, 1, 5, 20, 100)):
    if axis in axes[0]:
        curve, title = np.polynomial.Polynomial.fit(x, y, size)(grid), f"degree {size}"
    else:
        net = dr.Network(f"1/{size}/1", activation="tanh", output="identity", dtype="float64", seed=1)
        net.parameters()["1.W"][...] *= 6  # tanh units that bend within the picture, not at its edge
        net.parameters()["1.b"][...] = np.random.default_rng(0).uniform(-6, 6, size)
        dr.minimize(net, x[:, None], y, method="L-BFGS-B", max_iterations=300, weight_decay=1e-4)
        curve, title = net.predict(grid[:, None]), f"{size} hidden unit{'s' * (size > 1)}"
    error = np.sqrt(np.mean((curve - true) ** 2))
    axis.plot(grid, true, "k:", lw=1, label="the curve")
    axis.plot(grid, curve, label="what was fitted")
    axis.plot(x, y, "ko", ms=3, label="the points")
    axis.set(title=f"{title}: rmse {error:.2f}" if error < 10 else f"{title}: rmse {error:.0f}", ylim=(-2, 2))
    print(f"{title}: rmse {error:.2f}")
for axis, name in zip(axes[:, 0], ("polynomials", "networks")):
    axis.set_ylabel(name)
for axis in axes[1]:
    axis.set_xlabel("x / 2π")
figure.tight_layout(rect=(0, 0, 1, 0.94))
figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="upper center", ncols=3, frameon=False)
figure.savefig("lawrence_giles.svg")
