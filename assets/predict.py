"""Classifies images with the model beside this file: python predict.py IMAGE…

Needs what requirements.txt names: pip install -r requirements.txt. Prints one line of JSON an image: file, index,
label, probabilities, and labels, the class of each probability.
"""

import json
import re
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
LUMINANCE = (0.299, 0.587, 0.114)
HERE = Path(__file__).resolve().parent


def main(files: list[str]) -> int:
    """One line a file; a file that cannot be read gives a line with its error, and exit code 2 at the end."""
    if not files:
        print("usage: python predict.py IMAGE…", file=sys.stderr)
        return 2
    labels = json.loads((HERE / "labels.json").read_text(encoding="utf-8"))
    pixels = json.loads((HERE / "preprocessing.json").read_text(encoding="utf-8"))
    check_runtime()
    session = onnxruntime.InferenceSession(str(HERE / "model.onnx"), providers=["CPUExecutionProvider"])
    failed = 0
    for file in files:
        try:
            logits = answer(session, prepare(file, pixels)).astype(np.float64)
        except (OSError, ValueError) as error:
            tell({"file": file, "error": str(error)})
            failed = 2
            continue
        weights = np.exp(logits - logits.max())
        chances = weights / weights.sum()
        best = int(chances.argmax())
        rounded = [round(float(p), 6) for p in chances]
        told = {"file": file, "index": best, "label": labels[best], "probabilities": rounded}
        tell({**told, "labels": labels})
    return failed


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
    """The image as the network wants it, float32 [1, channels, size, size]."""
    image = eight_bits(ImageOps.exif_transpose(Image.open(path, formats=FORMATS)))
    return normalise(image.split(), pixels)


def eight_bits(image: Image.Image) -> Image.Image:
    """Grey or RGB: 16 bits are scaled, what is transparent becomes white."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        return Image.fromarray(np.round(np.asarray(image).astype(np.float64) / 257).clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image.convert("RGB"), mask=image.getchannel("A"))
        return white
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def normalise(planes: tuple[Image.Image, ...], pixels: dict) -> np.ndarray:  # type: ignore[type-arg]
    """One or three planes of 8 bits: shorter side resized, centre cropped, minus mean, divided by deviation."""
    values = [fit(plane.convert("F"), pixels["size"]) for plane in planes]
    if pixels["channels"] == 1 and len(values) == 3:
        values = [sum(value * np.float32(share) for value, share in zip(values, LUMINANCE, strict=True))]  # type: ignore[list-item]
    stacked = np.stack(values * (pixels["channels"] // len(values)))
    mean, deviation = (np.asarray(pixels[key], np.float32)[:, None, None] for key in ("mean", "std"))
    return ((stacked - mean * 255) * (1 / (deviation * 255)))[None]


def fit(plane: Image.Image, side: int) -> np.ndarray:
    """A plane of floats, side × side: nothing is rounded on the way."""
    scale = side / min(plane.size)
    wide, high = (max(side, round(length * scale)) for length in plane.size)
    left, top = (wide - side) // 2, (high - side) // 2
    resized = plane if plane.size == (wide, high) else plane.resize((wide, high), Image.Resampling.BILINEAR)
    return np.asarray(resized.crop((left, top, left + side, top + side)), dtype=np.float32)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
