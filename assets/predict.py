"""Classifies images with the model beside this file: python predict.py IMAGE…

Needs onnxruntime, numpy and pillow. Prints one line of JSON an image: file, index, label, probabilities.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
HERE = Path(__file__).resolve().parent


def prepare(path: str, pixels: dict) -> np.ndarray:  # type: ignore[type-arg]
    """The image as the network wants it, float32 [1, channels, size, size]: shorter side resized, centre cropped."""
    image: Image.Image = ImageOps.exif_transpose(Image.open(path, formats=FORMATS))
    image = image.convert("L" if pixels["channels"] == 1 else "RGB")
    side = pixels["size"]
    scale = side / min(image.size)
    wide, high = (max(side, round(length * scale)) for length in image.size)
    left, top = (wide - side) // 2, (high - side) // 2
    image = image.resize((wide, high), Image.Resampling.BILINEAR).crop((left, top, left + side, top + side))
    values = np.asarray(image, dtype=np.float32).reshape(side, side, -1).transpose(2, 0, 1) / 255
    mean, std = (np.asarray(pixels[key], dtype=np.float32)[:, None, None] for key in ("mean", "std"))
    return ((values - mean) / std)[None]


def main(files: list[str]) -> int:
    """One line a file; a file that cannot be read gives a line with its error, and exit code 2 at the end."""
    if not files:
        print("usage: python predict.py IMAGE…", file=sys.stderr)
        return 2
    labels = json.loads((HERE / "labels.json").read_text(encoding="utf-8"))
    pixels = json.loads((HERE / "preprocessing.json").read_text(encoding="utf-8"))
    session = onnxruntime.InferenceSession(str(HERE / "model.onnx"), providers=["CPUExecutionProvider"])
    failed = 0
    for file in files:
        try:
            logits = session.run(["logits"], {"image": prepare(file, pixels)})[0][0].astype(np.float64)
        except (OSError, ValueError) as error:
            print(json.dumps({"file": file, "error": str(error)}, ensure_ascii=False))
            failed = 2
            continue
        weights = np.exp(logits - logits.max())
        chances = weights / weights.sum()
        best = int(chances.argmax())
        rounded = [round(float(p), 6) for p in chances]
        answer = {"file": file, "index": best, "label": labels[best], "probabilities": rounded}
        print(json.dumps(answer, ensure_ascii=False))
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
