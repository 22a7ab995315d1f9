"""Recognises archives and databases of images by their first bytes."""

from __future__ import annotations

import os
import struct

_TAR = "`dali-mix check` and DALI's webdataset reader take plain tar files only"
_MAGIC = {
    b"\x1f\x8b": f"a file compressed with gzip; {_TAR}, which gunzip makes of a .tar.gz",
    b"BZh": f"a file compressed with bzip2; {_TAR}, which bunzip2 makes of a .tar.bz2",
    b"\xfd7zXZ\0": f"a file compressed with xz; {_TAR}, which unxz makes of a .tar.xz",
    b"\x28\xb5\x2f\xfd": f"a file compressed with Zstandard; {_TAR}, which unzstd makes of it",
    b"\x04\x22\x4d\x18": f"a file compressed with LZ4; {_TAR}, which unlz4 makes of it",
    b"PK\x03\x04": "a ZIP archive, which no reader of DALI takes",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive, which no reader of DALI takes",
    b"Rar!": "a RAR archive, which no reader of DALI takes",
    b"\x0a\x23\xd7\xce": "a RecordIO file of MXNet, which fn.readers.mxnet reads",
    b"PAR1": "a Parquet table, which no reader of DALI takes",
    b"ARROW1": "an Arrow table, which no reader of DALI takes",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, which no reader of DALI takes",
    b"\x93NUMPY": "a NumPy array, which fn.readers.numpy reads",
    b"SQLite format 3\0": "an SQLite database, which no reader of DALI takes",
}
_ENDINGS = {
    ".beton": "a dataset of FFCV, which no reader of DALI takes",
    ".mds": "a shard of MosaicML Streaming, which no reader of DALI takes",
}
_LMDB = "an LMDB database, which fn.readers.caffe or fn.readers.caffe2 reads"
_LONGEST = 32  # bytes at the start that are read


def archive_of(path: str) -> str | None:
    """What the file is, and who reads it; None if it is not known here."""
    with open(path, "rb") as file:
        start = file.read(_LONGEST)
    for magic, what in _MAGIC.items():
        if start.startswith(magic):
            return what
    if start[16:20] == b"\xde\xc0\xef\xbe":
        return _LMDB
    if _is_tfrecord(start):
        return "a TFRecord file, which fn.readers.tfrecord reads"
    return _ENDINGS.get(os.path.splitext(path)[1].lower())


def folder_of_what(root: str) -> str:
    """The words "it is …; " if the folder is a database, else nothing."""
    return f"it is {_LMDB}; " if os.path.isfile(os.path.join(root, "data.mdb")) else ""


def _is_tfrecord(start: bytes) -> bool:
    """Whether the checksum of the first record's length follows the length."""
    if len(start) < 12:
        return False
    checksum = _crc32c(start[:8])
    masked = ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return struct.unpack("<I", start[8:12]) == (masked,)


def _crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
