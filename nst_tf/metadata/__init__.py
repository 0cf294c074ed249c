"""Reads and writes the metadata of image files: EXIF, credits, pages.

`exif`, `xmp` and `iptc` handle author, date, camera and the like. `directories`
parses TIFF and EXIF directories, `boxes` HEIC and AVIF boxes. `pages` chooses
the picture of a file that is read. All input is untrusted, so that every reader
has limits.

    from nst_tf.metadata import xmp
    xmp.read(xmp.encode({"dc:creator": ("Ada",)}))
"""
