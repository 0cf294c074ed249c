"""What an image file says besides its samples: notes, credits, pages.

`exif`, `xmp` and `iptc` read and write who made a picture, when and with what;
`directories` and `boxes` walk TIFF files and EXIF, and HEIC and AVIF files;
`pages` says which picture of a file counts. Whatever is read is a stranger's,
and is read within limits.

    from nst_tf.metadata import xmp
    xmp.read(xmp.encode({"dc:creator": ("Ada",)}))
"""
