"""The engine, the only package that uses torch: builds methods, trains, compresses, exports and measures."""

from core.engine.method import build

__all__ = ["build"]
