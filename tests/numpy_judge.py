"""The figures of the judge, written again from their formulas in float64.

Nothing here imports the package: pictures come at the sizes at which they are
compared, and the network is that of numpy_network.py.
"""

import numpy as np
import numpy_network


def judge(image, content, styles, weights, style_layers, content_layer, alpha):
    """Computes all figures of one picture.

    Args:
        image: [H, W, 3] in [0, 1].
        content: Likewise.
        styles: Style images, [h, w, 3], each with its alpha, [h, w], and share.
        weights: Of the network: layer -> kernel, bias.
        style_layers: Layer -> its weight.
        content_layer: The layer of the content distance.
        alpha: Of the content, [H, W].

    Returns:
        Figure -> number; "style_by_layer" -> layer -> number.
    """
    network = numpy_network.Network(weights, "average", "replicate_first")
    seen, of_content, *of_styles = (
        network.forward(numpy_network.preprocess(each))
        for each in (image, content, *(pixels for pixels, _, _ in styles))
    )
    shares = [share for _, _, share in styles]
    masks = {layer: _reduce(alpha, seen[layer].shape) for layer in seen}
    grams, moments = {}, {}
    for layer in style_layers:
        mine = _statistics(seen[layer], masks[layer])
        theirs = [
            _statistics(f[layer], _reduce(style[1], f[layer].shape))
            for f, style in zip(of_styles, styles, strict=True)
        ]
        second, mean = (
            np.average(part, axis=0, weights=shares)
            for part in zip(*theirs, strict=True)
        )
        grams[layer] = np.sum((mine[0] - second) ** 2) / np.sum(second**2)
        variance = np.diag(second) - mean**2
        floor = 1e-4 * variance.mean()
        deviation = np.sqrt(variance + floor)
        own = np.sqrt(np.diag(mine[0]) - mine[1] ** 2 + floor)
        moments[layer] = (
            np.sum((mine[1] - mean) ** 2) + np.sum((own - deviation) ** 2)
        ) / (np.sum(mean**2) + np.sum((np.sqrt(floor) - deviation) ** 2))
    mask = masks[content_layer][..., None]
    target = of_content[content_layer]
    return {
        "style": _mean(grams, style_layers),
        "style_by_layer": grams,
        "moments": _mean(moments, style_layers),
        "content": np.sum(mask * (seen[content_layer] - target) ** 2)
        / np.sum(mask * target**2),
        "ssim": ssim(luma(image), luma(content), alpha),
        "chroma": chroma_energy(image, alpha)
        / np.average(
            [chroma_energy(s, a) for s, a, _ in styles], weights=shares
        ),
        "border": border(luma(image), alpha),
    }


def luma(image):
    """0.299 R + 0.587 G + 0.114 B."""
    return np.asarray(image, float) @ (0.299, 0.587, 0.114)


def ssim(one, two, alpha):
    """The mean of SSIM over windows, one after another."""
    places = np.arange(-5, 6)
    window = np.exp(-(places[:, None] ** 2 + places**2) / (2 * 1.5**2))
    window /= window.sum()
    total, mass = 0.0, 0.0
    for row in range(5, len(one) - 5):
        for column in range(5, one.shape[1] - 5):
            part = np.s_[row - 5 : row + 6, column - 5 : column + 6]
            m, n = np.sum(window * one[part]), np.sum(window * two[part])
            a, b = one[part] - m, two[part] - n
            v, w = np.sum(window * a * a), np.sum(window * b * b)
            cov = np.sum(window * a * b)
            value = (2 * m * n + 1e-4) * (2 * cov + 9e-4)
            value /= (m * m + n * n + 1e-4) * (v + w + 9e-4)
            total += alpha[row, column] * value
            mass += alpha[row, column]
    return total / mass


def chroma_energy(image, alpha):
    """Mean square of the Laplacian of Cb and Cr of BT.601."""
    image = np.asarray(image, float)
    y = luma(image)
    colors = [(image[..., 2] - y) / 1.772, (image[..., 0] - y) / 1.402]
    total = 0.0
    for color in colors:
        around = -4 * color
        for axis in (0, 1):
            for step in (1, -1):
                moved = np.roll(color, step, axis)
                edge = [slice(None)] * 2
                edge[axis] = 0 if step == 1 else -1
                moved[tuple(edge)] = color[tuple(edge)]
                around += moved
        total += np.sum(alpha * around**2) / np.sum(alpha) / 2
    return total


def border(y, alpha):
    """Mean absolute steps in the outer pixels over those beside."""
    width = min(16, min(y.shape) // 8)
    sums = {True: [0.0, 0.0], False: [0.0, 0.0]}
    for row in range(len(y) - 1):
        for column in range(y.shape[1] - 1):
            depth = min(row, column, len(y) - 2 - row, y.shape[1] - 2 - column)
            if depth >= 4 * width:
                continue
            step = abs(y[row + 1, column] - y[row, column])
            step += abs(y[row, column + 1] - y[row, column])
            sums[depth < width][0] += alpha[row, column] * step
            sums[depth < width][1] += alpha[row, column]
    return np.divide(*sums[True]) / np.divide(*sums[False])


def _statistics(features, mask):
    """Means of products of channels, [C, C], and of channels, [C]."""
    flat = features.reshape(-1, features.shape[-1])
    share = mask.reshape(-1, 1) / mask.sum()
    return flat.T @ (share * flat), np.sum(share * flat, axis=0)


def _reduce(alpha, shape):
    """The mean alpha of the pixels of each position."""
    stride = alpha.shape[0] // shape[0]
    cut = alpha[: stride * shape[0], : stride * shape[1]]
    return cut.reshape(shape[0], stride, shape[1], stride).mean((1, 3))


def _mean(values, weights):
    """The mean over layers, by their weights."""
    total = sum(weights[layer] * values[layer] for layer in weights)
    return total / sum(weights.values())
