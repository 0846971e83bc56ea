"""Classifies images with the model beside this file: python predict.py IMAGE…

Needs what requirements.txt names: pip install -r requirements.txt. Prints one line of JSON an image: file, index,
label, probabilities, and labels, the class of each probability.

A file that cannot be read gives a line with its error; the others are answered all the same, and the exit code is 2.
What is read is what an import of training images reads: of an animation the first picture, at most 50 megapixels.

What an image goes through is what the images went through that the model has learned from, pixel for pixel; where
preprocessing.json has an `input`, that is: turned upright, to 8 bits, shrunk and stored, made square.
"""

import base64
import io
import json
import re
import struct
import sys
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image, ImageChops, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
LUMINANCE = (0.299, 0.587, 0.114)
MOST_PIXELS = 50_000_000
MOST_BYTES = 512 * 2**20
SHORTER_SIDE = 512
LOSSLESS_UP_TO = 128 * 128  # pixels: a small JPEG is kept exactly, as PNG
WHITE = 65535
PADDING = 128
LOW_BYTES = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}
BITS_PER_SAMPLE = 258
ORIENTATION = 0x0112  # EXIF's tag
TURNS = {  # by EXIF's orientation: what makes the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BROKEN = (  # what Pillow raises on a damaged file
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    AssertionError,
    struct.error,
    zlib.error,
)
HERE = Path(__file__).resolve().parent
SIXTEEN = (  # an ONNX file: sums of sixteen ones, in int8
    "eNrlkj1uwkAQhf02G7R5RGjZhhRRhEznI5CksVJZUNCmW0uWZYlgjM2fG5w+B+J4EDAUcW7ASNN8n/RGmhn1YJzhXrLP++TLxhFhidIgczuT"
    "pZ0VSRmNkllkF3whsovduPojyhp+TeREarD6x3eJDbEy2LqtsS3GyymfiS0RniLnjYEDYl7b1jSNkyJvphrE3o9QWml952MdVGJ34+W1NXzk"
    "gZQCb576XUsawDljG8jvqno9YuGjvOLwhN8/e/UTmA4fFYyiUDi2Dp9YX+Cv8SUd3T0ARHjGfg==",
)
ROUNDS = b'"\x0eQuantizeLinear'  # the operator's name as a node of an ONNX file holds it


class Unreadable(ValueError):
    """Why a file is not answered, in words for people."""


def main(files: list[str]) -> int:
    """One line a file; a file that cannot be read gives a line with its error, and exit code 2 at the end."""
    if not files:
        print("usage: python predict.py IMAGE…", file=sys.stderr)
        return 2
    labels = json.loads((HERE / "labels.json").read_text(encoding="utf-8"))
    pixels = json.loads((HERE / "preprocessing.json").read_text(encoding="utf-8"))
    check_runtime()
    warnings.simplefilter("ignore")
    Image.MAX_IMAGE_PIXELS = None  # `refuse_odd` counts them before anything is decoded
    session = opened(onnxruntime.SessionOptions())
    failed = 0
    for file in files:
        try:
            image = prepare(file, pixels)
        except Unreadable as reason:
            tell({"file": file, "error": str(reason)})
            failed = 2
            continue
        logits = answer(session, image).astype(np.float64)
        weights = np.exp(logits - logits.max())
        chances = weights / weights.sum()
        best = int(chances.argmax())
        rounded = [round(float(p), 6) for p in chances]
        told = {"file": file, "index": best, "label": labels[best], "probabilities": rounded}
        tell({**told, "labels": labels})
    return failed


def opened(options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    """The model. Where layers run in integers and this processor would cut their sums off, it is told not to: x86
    without VNNI instructions adds products of 8 bits in 16."""
    if ROUNDS in (HERE / "model.onnx").read_bytes() and cuts_sums_off():
        options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(str(HERE / "model.onnx"), options, providers=["CPUExecutionProvider"])


def cuts_sums_off() -> bool:
    """Found by multiplying: 16 ones by 16 ones, as the largest numbers of 8 bits."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    data = zlib.decompress(base64.b64decode("".join(SIXTEEN)))
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return bool((session.run(["logits"], {"image": np.ones((1, 16), np.float32)})[0] < 16).any())


def tell(answer: dict) -> None:  # type: ignore[type-arg]
    """One line of JSON, escaped where the terminal's encoding lacks a character."""
    line = json.dumps(answer, ensure_ascii=False)
    try:
        line.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        line = json.dumps(answer)
    print(line)


def check_runtime() -> None:
    """Ends with a sentence where the installed onnxruntime is too old for the model."""
    needs = HERE / "requirements.txt"
    found = re.search(r"onnxruntime>=([\d.]+)", needs.read_text(encoding="utf-8")) if needs.exists() else None
    if found and numbers(onnxruntime.__version__) < numbers(found[1]):
        told = f"model.onnx needs onnxruntime {found[1]} or newer; this is {onnxruntime.__version__}."
        print(f"{told} Run: pip install -r requirements.txt", file=sys.stderr)
        sys.exit(2)


def numbers(version: str) -> tuple[int, ...]:
    """1.24.1 as (1, 24, 1), to be compared."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def answer(session: onnxruntime.InferenceSession, image: np.ndarray) -> np.ndarray:
    """The logits [classes] of one image [1, channels, size, size]; a model of fixed batch gets it so many times."""
    count = session.get_inputs()[0].shape[0]
    batch = np.repeat(image, count, axis=0) if isinstance(count, int) else image
    logits: np.ndarray = session.run(["logits"], {"image": batch})[0][0]
    return logits


def prepare(path: str, pixels: dict) -> np.ndarray:  # type: ignore[type-arg]
    """The image as the network wants it, float32 [1, channels, size, size]; raises Unreadable."""
    data = content(Path(path))
    given = pixels.get("input", {})
    image, kind = decoded(data, given)
    if given.get("stored"):
        stored = encode(without_colour(shrunk(image)), kind)
        image = Image.open(io.BytesIO(stored), formats=FORMATS)
        mode = "L" if given["channels"] == 1 else "RGB"
        image.draft(mode, (2 * given["size"], 2 * given["size"]))
    if given:
        image = square(image.convert("L" if given["channels"] == 1 else "RGB"), given["size"], given["shape"])
    return normalise(image.split(), pixels)


def content(path: Path) -> bytes:
    """The bytes of a file; raises Unreadable."""
    try:
        if path.is_dir():
            raise Unreadable("a folder; name the images in it")
        if path.exists() and not path.is_file():
            raise Unreadable("not a regular file")
        if path.stat().st_size > MOST_BYTES:
            raise Unreadable(f"larger than {MOST_BYTES // 2**20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from error


def decoded(data: bytes, given: dict) -> tuple[Image.Image, str]:  # type: ignore[type-arg]
    """`upright`, with what Pillow raises on a broken file as Unreadable."""
    try:
        return upright(data, given)
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable(f"no image that can be read; readable are {', '.join(FORMATS)}") from None
    except BROKEN:
        raise Unreadable("damaged or cut off") from None
    except MemoryError:
        raise Unreadable("needs more memory than there is") from None


def upright(data: bytes, given: dict) -> tuple[Image.Image, str]:  # type: ignore[type-arg]
    """The image turned as its EXIF data say, grey or RGB with 8 bits, and its format; `given` as in preprocessing.json.

    A JPEG is decoded at a half, a quarter or an eighth where it was for training.
    """
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    refuse_odd(image)
    kind, deep, white = str(image.format), deep_pixels(data), own_white(image) or given.get("white", WHITE)
    if given and deep is None:
        side = 2 * (SHORTER_SIDE if given.get("stored") else given["size"])
        image.draft(image.mode, (side, side))
    return eight_bits(turned(image) if deep is None else image, deep, white)[0], kind


def refuse_odd(image: Image.Image) -> None:
    """Raises Unreadable for what was not learned from either: too many pixels, or such that 8 bits would not show what
    they mean."""
    tags, pixels = getattr(image, "tag_v2", {}), image.width * image.height
    if pixels > MOST_PIXELS:
        raise Unreadable(f"{image.width} × {image.height} = {pixels / 1e6:.0f} megapixels; at most 50 are read")
    if image.mode == "F" or (image.mode == "I" and image.format != "PNG"):
        raise Unreadable("pixels of 32 bits or with a sign; 8 and 16 bits without a sign are read")
    if any("LA;16" in str(tile[3]) for tile in getattr(image, "tile", [])):
        raise Unreadable("16-bit grey with transparency; save it without transparency")
    stated = tags.get(254, 0)
    small = isinstance(stated, int) and stated & 1 == 1
    if image.format == "TIFF" and (small or 50706 in tags or (330 in tags and 271 in tags)):
        raise Unreadable("a camera's raw file, of which only the small preview can be read: save it as JPEG or PNG")


def own_white(image: Image.Image) -> int:
    """What is white in a TIFF whose samples have 9 to 15 bits, packed; 0 for any other file."""
    bits = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (8,))
    deepest: int = max(bits) if isinstance(bits, tuple) else bits
    return (1 << deepest) - 1 if 8 < deepest < 16 else 0


def orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; 1 where the EXIF data cannot be read. Their other fields do not matter."""
    if image.format == "PNG":
        image.load()  # its EXIF data may follow its pixels
    try:
        found = image.getexif().get(ORIENTATION, 1)
        return int(found) if found in TURNS else 1
    except BROKEN:
        return 1


def turned(image: Image.Image) -> Image.Image:
    """The image upright, as its EXIF data say."""
    way = TURNS.get(orientation(image))
    return image if way is None else image.transpose(way)


def deep_pixels(data: bytes) -> np.ndarray | None:
    """uint16 [H, W] or [H, W, 3 or 4] of an image with 16 bits a sample, upright; None for any other.

    Pillow reads such grey images whole, of colour only the upper bytes; read once more in the other byte order, it
    gives the lower ones.
    """
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    if image.mode == "I" or image.mode.startswith("I;16"):
        grey = np.asarray(turned(image))
        return grey.astype(np.int64).clip(0, WHITE).astype(np.uint16)
    if image.mode not in ("RGB", "RGBA") or not any(";16" in str(tile[3]) for tile in image.tile):
        return None
    other = Image.open(io.BytesIO(data), formats=FORMATS)
    other.tile = [type(tile)(*tile[:3], other_bytes(tile[3])) for tile in other.tile]
    high, low = (np.asarray(turned(half)).astype(np.uint16) for half in (image, other))
    return high * np.uint16(256) + low


def other_bytes(args: Any) -> Any:
    """The arguments of a decoder with the other byte of each sample."""
    if isinstance(args, tuple):
        return (other_bytes(args[0]), *args[1:])
    name, order = args.split(";")
    return f"{name};{LOW_BYTES[order]}"


def eight_bits(image: Image.Image, deep: np.ndarray | None, white: int) -> tuple[Image.Image, bool]:
    """Grey or RGB with 8 bits, and whether anything was transparent: that becomes white.

    `deep` holds the samples where they have 16 bits; they are scaled so that `white` is 255, and what lies above it is
    white too.
    """
    if deep is not None:
        scaled = np.round(np.arange(WHITE + 1) * (255 / white)).clip(0, 255).astype(np.uint8)[deep]
        if deep.ndim == 3 and deep.shape[2] == 4 and int(deep[:, :, 3].max(initial=0)) > white:
            scaled[:, :, 3] = deep[:, :, 3] // 256
        image = Image.fromarray(scaled)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        flat = Image.new("RGB", image.size, "white")
        flat.paste(image.convert("RGB"), mask=alpha)
        return flat, alpha.getextrema() != (255, 255)
    return image.convert("L" if image.mode in ("1", "L") else "RGB"), False


def shrunk(image: Image.Image) -> Image.Image:
    """At most 512 pixels at the shorter side."""
    shorter = min(image.size)
    if shorter <= SHORTER_SIDE:
        return image
    width, height = (max(1, round(side * SHORTER_SIDE / shorter)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)


def without_colour(image: Image.Image) -> Image.Image:
    """Grey where red, green and blue are the same everywhere."""
    if image.mode != "RGB":
        return image
    red, green, blue = image.split()
    grey = all(ImageChops.difference(red, other).getbbox() is None for other in (green, blue))
    return red if grey else image


def encode(image: Image.Image, kind: str) -> bytes:
    """The image as stored: photos as JPEG, all others lossless."""
    out = io.BytesIO()
    if kind in ("JPEG", "MPO", "WEBP") and image.width * image.height > LOSSLESS_UP_TO:
        image.save(out, "JPEG", quality=95, subsampling=0)
    else:
        image.save(out, "PNG", compress_level=3)
    return out.getvalue()


def square(image: Image.Image, size: int, shape: str) -> Image.Image:
    """The image as size × size, bilinear and antialiased: `crop` keeps the centre, `pad` adds grey bars, `stretch`
    changes the aspect ratio."""
    if shape == "pad":
        scale = size / max(image.size)
        inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        resized = image.resize(inner, Image.Resampling.BILINEAR, reducing_gap=3.0)
        padded = Image.new(image.mode, (size, size), (PADDING,) * len(image.getbands()))
        padded.paste(resized, ((size - inner[0]) // 2, (size - inner[1]) // 2))
        return padded
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side) if shape == "crop" else (0, 0, *image.size)
    return image.resize((size, size), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)


def normalise(planes: tuple[Image.Image, ...], pixels: dict) -> np.ndarray:  # type: ignore[type-arg]
    """One or three planes of 8 bits: shorter side resized, centre cropped, minus mean, divided by deviation."""
    size = pixels["size"]
    side = max(size, round(size / pixels.get("crop", 1.0)))
    first = round((side - size) / 2)
    inside = slice(first, first + size)
    values = [fit(plane.convert("F"), side)[inside, inside] for plane in planes]
    if pixels["channels"] == 1 and len(values) == 3:
        values = [sum(value * np.float32(share) for value, share in zip(values, LUMINANCE, strict=True))]  # type: ignore[list-item]
    stacked = np.stack(values * (pixels["channels"] // len(values)))
    mean, deviation = (np.asarray(pixels[key], np.float32)[:, None, None] for key in ("mean", "std"))
    return ((stacked - mean * 255) * (1 / (deviation * 255)))[None]


def fit(plane: Image.Image, side: int) -> np.ndarray:
    """The middle square of a plane of floats, side × side: nothing is rounded on the way."""
    if plane.size != (side, side):
        short = min(plane.size)
        left, top = (plane.width - short) / 2, (plane.height - short) / 2
        box = (left, top, left + short, top + short)
        plane = plane.resize((side, side), Image.Resampling.BILINEAR, box=box)
    return np.asarray(plane, dtype=np.float32)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
