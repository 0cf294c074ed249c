"""The machine: its device, several of them, and images that are read in parts.

`device` names what computes and the type that is fast, `replicas` shares one
image among several devices, `canvas` and `host_images` read and change large
images some rows at a time, and `ops` has operations with gradients of their
own. Nothing here knows a network, a loss or a job.

    from nst_tf.backend import device
    device.resolve_precision("auto")  # "bfloat16" where that is fast
"""
