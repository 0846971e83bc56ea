"""Times the model beside this file, and checks that it answers here as it did where it was measured.

python benchmark.py [--threads N] [--seconds S]. Needs what requirements.txt names. Prints one JSON document: latency
of one image here and as measured, and how many of the stored answers (samples.npz) came out again, with the largest
difference of a logit: 0 on the same processor and versions. Exit code 1 if an answer is another one.
"""

import argparse
import importlib.util
import json
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import onnxruntime
from PIL import Image

HERE = Path(__file__).resolve().parent
WARMUP = 10  # runs before the first counted one


def main() -> int:
    receipt = json.loads((HERE / "receipt.json").read_text(encoding="utf-8"))
    measured = receipt.get("latency_ms", {})
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=measured.get("threads", 1), help="inside an operator")
    parser.add_argument("--seconds", type=float, default=1.5, help="how long to measure")
    asked = parser.parse_args()
    if asked.threads < 1 or not 0 < asked.seconds <= 3600:
        parser.error("--threads: at least 1; --seconds: above 0, at most 3600")
    script().check_runtime()
    session = opened(asked.threads)
    told = {"here": latency(session, asked.threads, asked.seconds), "measured": measured}
    samples = HERE / "samples.npz"
    if samples.exists():
        told["samples"] = reproduced(session, samples)
    print(json.dumps(told, indent=1))
    return 1 if "samples" in told and told["samples"]["same_answers"] < told["samples"]["images"] else 0


def opened(threads: int) -> onnxruntime.InferenceSession:
    """The session as it was measured."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0" if threads == 1 else "1")
    session: onnxruntime.InferenceSession = script().opened(options)
    return session


def latency(session: onnxruntime.InferenceSession, threads: int, seconds: float) -> dict[str, float | int | str]:
    """Milliseconds of a run, one image in it unless the model's batch is fixed."""
    given = session.get_inputs()[0]
    batch = given.shape[0] if isinstance(given.shape[0], int) else 1
    image = np.random.default_rng(0).standard_normal([batch, *given.shape[1:]], dtype=np.float32)
    found: list[float] = []
    for _ in range(WARMUP):
        session.run(["logits"], {"image": image})
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(found) < 30:
        start = time.perf_counter()
        session.run(["logits"], {"image": image})
        found.append((time.perf_counter() - start) * 1000)
    p50, p95 = (float(np.percentile(found, q)) for q in (50, 95))
    runtime = f"onnxruntime {onnxruntime.__version__}"
    return {"p50": p50, "p95": p95, "n": len(found), "batch": batch, "threads": threads, "runtime": runtime}


def reproduced(session: onnxruntime.InferenceSession, samples: Path) -> dict[str, float | int | bool]:
    """The stored images again, one at a time."""
    predict = script()
    pixels = json.loads((HERE / "preprocessing.json").read_text(encoding="utf-8"))
    with np.load(samples, allow_pickle=False) as file:
        images, logits = file["images"], file["logits"]
    planes = (tuple(Image.fromarray(plane) for plane in image) for image in images)
    answers = np.stack([predict.answer(session, predict.normalise(image, pixels)) for image in planes])
    difference = float(np.abs(answers - logits).max())
    same = int((answers.argmax(1) == logits.argmax(1)).sum())
    return {"images": len(images), "same_answers": same, "largest_difference": difference, "exact": difference == 0}


def script() -> ModuleType:
    """predict.py, wherever this is run from."""
    spec = importlib.util.spec_from_file_location("predict", HERE / "predict.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main())
