"""What can be asked of the engine: a file a kind of question, with its typed request and its typed answer."""
