"""The machine: its device, several of them, and images that are read in parts.

`device` names what computes and the type that is fast, `replicas` shares one
image among several devices, and `ops` has operations with gradients of their
own. A `canvas` is an image that is read and changed in parts, wherever it is;
`host_images` is its kind in the host's memory. Nothing here knows a network, a
loss or a job.

    from nst_tf.backend import device
    device.resolve_precision("auto")  # "bfloat16" where that is fast
"""
