"""The Design page's own rooms: the draft and its presets, the chain of cards, the preview."""
