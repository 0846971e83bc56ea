"""The type of a file, by its first bytes and never by its name."""

from __future__ import annotations

READ_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
PICTURES = (  # kinds that are pictures too, which a person has to save in another format
    "HEIC",
    "AVIF",
    "JPEG XL",
    "JPEG 2000",
    "camera raw",
    "Photoshop",
    "GIMP",
    "Netpbm",
    "BigTIFF",
    "OpenEXR",
    "Radiance HDR",
    "DDS",
    "SVG",
)
HEAD = 512  # bytes that `kind_of` needs

_STARTS = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"PK\x03\x04", "ZIP"),
    (b"PK\x05\x06", "ZIP"),
    (b"PK\x07\x08", "ZIP"),
    (b"Rar!\x1a\x07", "RAR"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"%PDF", "PDF"),
    (b"%!PS", "EPS"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"\0\0\1\0", "icon"),
    *((f"P{number}{blank}".encode(), "Netpbm") for number in range(1, 8) for blank in " \t\r\n"),
    (b"II+\0", "BigTIFF"),
    (b"MM\0+", "BigTIFF"),
    (b"DDS ", "DDS"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"SIMPLE  =", "FITS"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"FUJIFILMCCD-RAW", "camera raw"),
    (b"IIRO", "camera raw"),
    (b"IIU\0", "camera raw"),
    (b"\0MRM", "camera raw"),
    (b"gimp xcf", "GIMP"),
    (b"\x1aE\xdf\xa3", "video"),
    (b"\0\0\1\xba", "video"),
    (b"\0\0\1\xb3", "video"),
    (b"FLV\1", "video"),
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"bplist00", "property list"),
    (b"L\0\0\0\x01\x14\x02\0", "shortcut"),
    (b"SQLite format 3", "SQLite"),
    (b"8BPS", "Photoshop"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\x93NUMPY", "NumPy"),
    (b"\x7fELF", "program"),
    (b"MZ", "program"),
    (b"\x80\x02", "pickle"),
)
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"heif", b"hevc", b"hevx", b"hevm", b"hevs"), "HEIC"),
    **dict.fromkeys((b"mif1", b"msf1", b"miaf", b"mif2"), "HEIC"),
    b"avif": "AVIF",
    b"avis": "AVIF",
    b"crx ": "camera raw",
    b"jxl ": "JPEG XL",
    b"jp2 ": "JPEG 2000",
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P "), "audio"),
}


def kind_of(head: bytes) -> str:
    """`PNG`, `HEIC`, `ZIP`, `text`, `empty` or `unknown`, for the first bytes of a file."""
    if not head:
        return "empty"
    if head[:4] == b"RIFF":
        return {b"WEBP": "WEBP", b"AVI ": "video", b"WAVE": "audio"}.get(head[8:12], "unknown")
    if head[128:132] == b"DICM":
        return "DICOM"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video")
    if head[257:262] == b"ustar":
        return "tar"
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    return _text_kind(head)


def _text_kind(head: bytes) -> str:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in text:
        return "SVG"
    if text.startswith((b"<!doctype html", b"<html")):
        return "HTML"
    printable = sum(32 <= byte < 127 or byte in b"\t\r\n" or byte >= 128 for byte in head)
    return "text" if printable == len(head) else "unknown"
