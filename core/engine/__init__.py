"""The only room with torch: builds methods, trains, compresses, exports and measures."""

from core.engine.method import build

__all__ = ["build"]
