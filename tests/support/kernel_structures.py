"""The structures of sample.h and of native/walk.cc for ctypes."""

import ctypes


def structure(*fields, pack=0):
    return type("Structure", (ctypes.Structure,), {"_pack_": pack, "_fields_": fields})


def numbers(names, ctype=ctypes.c_int32):
    return tuple((name, ctype) for name in names.split())


Box = ctypes.c_int32 * 4
Source = structure(("origin", ctypes.c_void_p), *numbers("row column channel"), pack=4)
Mask = structure(("values", ctypes.c_void_p), *numbers("height width"))
Layers = structure(
    ("images", Source * 6),
    *numbers("image_count"),
    ("boxes", Box * 7),
    *numbers("box_count"),
    ("shows", ctypes.c_int32 * 8),
    ("mask", Mask),
    ("blend", ctypes.c_double),
    *numbers("copied"),
)
Sample = structure(
    ("out", ctypes.c_void_p),
    ("own", Source),
    ("partner", Source),
    *numbers("height width plane"),
    ("box", Box),
    ("outside", ctypes.c_uint32, 2),
    ("layers", ctypes.c_int32, 30),
)
WalkCall = structure(
    *numbers("in_type out_type key_channels key_out_channels"),
    *numbers("interleaved key_planar stream", ctypes.c_bool),
    *numbers("singles factors weights layers", ctypes.c_void_p),
    *numbers("channels out_channels images"),
    ("planar", ctypes.c_bool),
    *numbers("samples bytes out_bytes", ctypes.c_void_p),
    *numbers("count"),
)
