"""Manages devices and memory: one device, several, and large images.

`device` chooses the device and its fast data type, `replicas` distributes one
image over several devices, and `ops` has fused operations and custom gradients.
A `canvas` is an image that is read and changed in parts; `host_images` has
canvases in host memory. Nothing here depends on a network, a loss or a job.

    from nst_tf.backend import device
    device.resolve_precision("auto")  # "bfloat16" where that is fast
"""
