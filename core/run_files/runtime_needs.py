"""The oldest onnxruntime that can run an ONNX file, read from the file's bytes without the onnx package.

The file is protobuf (https://protobuf.dev/programming-guides/encoding/); the field numbers are those of
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. The table was measured: onnxruntime 1.17 to 1.24 each loaded and
ran a file of each opset and each stored type.
"""

from __future__ import annotations

from collections.abc import Iterator

BY_OPSET = {20: (1, 17), 21: (1, 18), 22: (1, 21), 23: (1, 23), 24: (1, 24), 25: (1, 24)}
NEWEST = max(BY_OPSET)
INT4, UINT4 = 22, 21  # TensorProto.DataType
FOUR_BITS = (1, 19)  # dequantized
FOUR_BITS_CAST = (1, 23)  # widened by a Cast
OURS = ("", "ai.onnx")


def least_onnxruntime(model: bytes) -> str:
    """The version, such as `1.18`; empty if the file is no ONNX file or its opset is not in the table."""
    try:
        opset, graph = _opset(model), _one(model, 7)
        needed = [BY_OPSET[max(opset, min(BY_OPSET))]]
        small = {_text(tensor, 8) for tensor in _all(graph, 5) if _number(tensor, 2) in (INT4, UINT4)}
        if small:
            needed.append(FOUR_BITS)
        nodes = (node for node in _all(graph, 1) if _text(node, 4) == "Cast")
        if any(_text(node, 1) in small for node in nodes):
            needed.append(FOUR_BITS_CAST)
    except (IndexError, KeyError, ValueError):
        return ""
    return ".".join(map(str, max(needed)))


def adds_integers(model: bytes) -> bool:
    """Whether an ONNX file rounds activations, so that its layers run in integers; False if it is no ONNX file."""
    try:
        return any(_text(node, 4) == "QuantizeLinear" for node in _all(_one(model, 7), 1))
    except (IndexError, ValueError):
        return False


def _opset(model: bytes) -> int:
    found = [_number(entry, 2) for entry in _all(model, 8) if _text(entry, 1) in OURS]
    if not found:
        raise ValueError("a file without an opset")
    return max(found)


def _all(message: bytes, field: int) -> Iterator[bytes]:
    return (value for number, value in _fields(message) if number == field and isinstance(value, bytes))


def _one(message: bytes, field: int) -> bytes:
    return next(_all(message, field), b"")


def _text(message: bytes, field: int) -> str:
    return _one(message, field).decode()


def _number(message: bytes, field: int) -> int:
    return next((value for number, value in _fields(message) if number == field and isinstance(value, int)), 0)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(number, value) of each field: whole numbers, or the bytes of texts, tensors and nested messages."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield key >> 3, value
        elif kind == 2:
            length, place = _varint(message, place)
            if place + length > len(message):
                raise ValueError("a field longer than the file")
            yield key >> 3, message[place : place + length]
            place += length
        elif kind in (1, 5):
            place += 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of kind {kind}")


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
